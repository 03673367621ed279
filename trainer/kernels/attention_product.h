/* trainer/kernels/attention_product.h - small products and transposition for attention_body.h, which says what WIDTH, PANEL, TARGET and
 * NAME(f) are. */
#define vec NAME(vec)
#define index_vec NAME(index_vec)
typedef float vec __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef int32_t index_vec __attribute__((vector_size(4 * WIDTH)));

#define MICRO_ROWS 6                     /* 6 x PANEL sums and PANEL of B fit the registers of every set */

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

typedef struct NAME(product) {           /* c (rows, columns) = a b over `depth`, or added; rows even, columns a multiple of WIDTH */
    size_t rows, columns, depth;
    const float *a; size_t a_row, a_step;
    const float *b; size_t b_stride;
    float *c; size_t c_stride;
    bool add;
} NAME(product);

BODY TARGET void NAME(strip)(const NAME(product) *p, size_t column, const int vectors) {
    const float *b = p->b + column;
    size_t r = 0;
    for (; r + 6 <= p->rows; r += 6)
        NAME(micro)(6, vectors, p->depth, p->a + r * p->a_row, p->a_row, p->a_step, b, p->b_stride, p->c + r * p->c_stride + column, p->c_stride, p->add);
    if (r + 4 <= p->rows) {
        NAME(micro)(4, vectors, p->depth, p->a + r * p->a_row, p->a_row, p->a_step, b, p->b_stride, p->c + r * p->c_stride + column, p->c_stride, p->add);
        r += 4;
    }
    if (r < p->rows)
        NAME(micro)(2, vectors, p->depth, p->a + r * p->a_row, p->a_row, p->a_step, b, p->b_stride, p->c + r * p->c_stride + column, p->c_stride, p->add);
}

TARGET __attribute__((noinline)) static void NAME(multiply)(NAME(product) p) {
    size_t column = 0;
    for (; column + PANEL * WIDTH <= p.columns; column += PANEL * WIDTH) NAME(strip)(&p, column, PANEL);
    size_t left = (p.columns - column) / WIDTH;
    if (PANEL > 2 && left == 3) NAME(strip)(&p, column, PANEL > 2 ? 3 : 1);
    if (PANEL > 2 && left == 2) NAME(strip)(&p, column, PANEL > 2 ? 2 : 1);
    if (left == 1) NAME(strip)(&p, column, 1);
}

/* Lanes of a pair of rows in one step of the transposition: blocks of `step` lanes change places across the diagonal. */
BODY TARGET void NAME(swap)(vec *low, vec *high, const int step) {
    index_vec pick_low, pick_high;
#pragma GCC unroll 16
    for (int i = 0; i < WIDTH; i++) {
        pick_low[i] = i & step ? WIDTH + i - step : i;
        pick_high[i] = i & step ? WIDTH + i : i + step;
    }
    vec a = __builtin_shuffle(*low, *high, pick_low);
    *high = __builtin_shuffle(*low, *high, pick_high);
    *low = a;
}

/* to (WIDTH, WIDTH) = from^T */
BODY TARGET void NAME(transpose_square)(const float *from, size_t from_stride, float *to, size_t to_stride) {
    vec row[WIDTH];
#pragma GCC unroll 16
    for (int i = 0; i < WIDTH; i++) row[i] = *(const vec *)(from + (size_t)i * from_stride);
#pragma GCC unroll 4
    for (int step = 1; step < WIDTH; step *= 2)
#pragma GCC unroll 16
        for (int i = 0; i < WIDTH; i++)
            if (!(i & step)) NAME(swap)(&row[i], &row[i + step], step);
#pragma GCC unroll 16
    for (int i = 0; i < WIDTH; i++) *(vec *)(to + (size_t)i * to_stride) = row[i];
}

/* rows and columns: multiples of WIDTH. */
TARGET static void NAME(transpose)(const float *from, size_t from_stride, float *to, size_t to_stride, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r += WIDTH)
        for (size_t c = 0; c < columns; c += WIDTH) NAME(transpose_square)(from + r * from_stride + c, from_stride, to + c * to_stride + r, to_stride);
}
