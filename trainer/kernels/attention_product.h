/* trainer/kernels/attention_product.h - small products for attention_body.h, which says what WIDTH, PANEL, TARGET and NAME(f) are. */

/* c (rows, vectors) = a b, or added to c. Element (r, i) of a is a[r * a_row + i * a_step]. */
BODY TARGET void NAME(micro)(const int rows, const int vectors, size_t depth, const float *a, size_t a_row, size_t a_step, const float *b,
                             size_t b_stride, float *c, size_t c_stride, bool add) {
    vec sum[MICRO_ROWS][PANEL];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) sum[r][v] = add ? *(const vec *)(c + (size_t)r * c_stride + v * WIDTH) : (vec){0};
    for (size_t i = 0; i < depth; i++, a += a_step, b += b_stride) {
        vec right[PANEL];
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) right[v] = *(const vec *)(b + v * WIDTH);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            float left = a[(size_t)r * a_row];
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) sum[r][v] += left * right[v];
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) *(vec *)(c + (size_t)r * c_stride + v * WIDTH) = sum[r][v];
}

typedef struct NAME(product) {           /* c (rows, columns) = a b over `depth`, or added; columns: a multiple of WIDTH */
    size_t rows, columns, depth;
    const float *a; size_t a_row, a_step;
    const float *b; size_t b_stride;
    float *c; size_t c_stride;
    bool add;
    tiles *tiles; size_t width;          /* what is fetched meanwhile */
} NAME(product);

BODY TARGET void NAME(strip)(const NAME(product) *p, size_t column, const int vectors) {
    const float *b = p->b + column;
    size_t r = 0;
    for (; r + 6 <= p->rows; r += 6) {
        fetch_some(p->tiles, p->width);
        NAME(micro)(6, vectors, p->depth, p->a + r * p->a_row, p->a_row, p->a_step, b, p->b_stride, p->c + r * p->c_stride + column, p->c_stride, p->add);
    }
    if (r + 4 <= p->rows) {
        NAME(micro)(4, vectors, p->depth, p->a + r * p->a_row, p->a_row, p->a_step, b, p->b_stride, p->c + r * p->c_stride + column, p->c_stride, p->add);
        r += 4;
    }
    if (r + 2 <= p->rows) {
        NAME(micro)(2, vectors, p->depth, p->a + r * p->a_row, p->a_row, p->a_step, b, p->b_stride, p->c + r * p->c_stride + column, p->c_stride, p->add);
        r += 2;
    }
    if (r < p->rows)
        NAME(micro)(1, vectors, p->depth, p->a + r * p->a_row, p->a_row, p->a_step, b, p->b_stride, p->c + r * p->c_stride + column, p->c_stride, p->add);
}

TARGET __attribute__((noinline)) static void NAME(multiply)(NAME(product) p) {
    size_t column = 0;
    for (; column + PANEL * WIDTH <= p.columns; column += PANEL * WIDTH) NAME(strip)(&p, column, PANEL);
    size_t left = (p.columns - column) / WIDTH;
    if (PANEL > 2 && left == 3) NAME(strip)(&p, column, PANEL > 2 ? 3 : 1);
    if (PANEL > 2 && left == 2) NAME(strip)(&p, column, PANEL > 2 ? 2 : 1);
    if (left == 1) NAME(strip)(&p, column, 1);
}
