/* trainer/kernels/attention_vectors.h - vectors, their exponentials and dropout, and small matrices turned over, for attention_body.h, which says
 * what WIDTH, LARGER, WIDEN, TARGET and NAME(f) are. Written in vectors, since of 16-bit masks beside floats gcc makes half ones. */
#define vec NAME(vec)
#define index_vec NAME(index_vec)
#define short_vec NAME(short_vec)
typedef float vec __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef int32_t index_vec __attribute__((vector_size(4 * WIDTH)));
typedef uint16_t short_vec __attribute__((vector_size(2 * WIDTH), aligned(2), may_alias));

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

/* x: WIDTH vectors turned over in registers. */
BODY TARGET void NAME(turn)(vec x[WIDTH]) {
#pragma GCC unroll 4
    for (int step = 1; step < WIDTH; step *= 2)
#pragma GCC unroll 16
        for (int i = 0; i < WIDTH; i++)
            if (!(i & step)) NAME(swap)(&x[i], &x[i + step], step);
}

/* to (WIDTH, WIDTH) = from^T, rows from `rows` on copies of the last one. */
BODY TARGET void NAME(transpose_square)(const float *from, size_t from_stride, size_t rows, float *to, size_t to_stride) {
    vec x[WIDTH];
#pragma GCC unroll 16
    for (size_t i = 0; i < WIDTH; i++) x[i] = *(const vec *)(from + (i < rows ? i : rows - 1) * from_stride);
    NAME(turn)(x);
#pragma GCC unroll 16
    for (size_t i = 0; i < WIDTH; i++) *(vec *)(to + i * to_stride) = x[i];
}

/* to (columns, rows up to a whole vector) = from (rows, columns) turned. */
TARGET static void NAME(transpose)(const float *from, size_t from_stride, float *to, size_t to_stride, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r += WIDTH) {
        size_t c = 0;
        for (; c + WIDTH <= columns; c += WIDTH)
            NAME(transpose_square)(from + r * from_stride + c, from_stride, rows - r, to + c * to_stride + r, to_stride);
        for (; c < columns; c++)
            for (size_t i = r; i < r + WIDTH; i++) to[c * to_stride + i] = i < rows ? from[i * from_stride + c] : 0;
    }
}

/* to (rows, stride) = from (rows, width), zeros behind. */
TARGET static void NAME(take_rows)(float *to, size_t stride, const float *from, size_t from_stride, size_t rows, size_t width) {
    for (size_t r = 0; r < rows; r++, from += from_stride, to += stride) {
        size_t c = 0;
        for (; c + WIDTH <= width; c += WIDTH) *(vec *)(to + c) = *(const vec *)(from + c);
        for (; c < stride; c++) to[c] = c < width ? from[c] : 0;
    }
}

BODY TARGET vec NAME(every)(float x) { return x - (vec){0}; }      /* x in every lane */

/* 2^x for x <= 127, to 1 ULP; below -125 the result stays there (no denormals). NaN stays NaN. Polynomial: Cephes' exp2f (Moshier). */
BODY TARGET vec NAME(power_of_two)(vec x) {
    const vec magic = NAME(every)(12583039.0f);          /* 1.5 * 2^23 + 127: adding it leaves the exponent field of 2^round(x) in the low bits */
    x = LARGER(NAME(every)(-125.0f), x);
    vec n = x + magic, f = x - (n - magic), p = NAME(every)(1.535336188319500e-4f);
    p = p * f + 1.339887440266574e-3f;
    p = p * f + 9.618437357674640e-3f;
    p = p * f + 5.550332471162809e-2f;
    p = p * f + 2.402264791363012e-1f;
    p = p * f + 6.931472028550421e-1f;
    p = p * f + 1.0f;
    return p * (vec)((index_vec)n << 23);
}

#define LOG2_E 1.44269504088896340736f

/* x where the lane is kept, else +0. */
BODY TARGET vec NAME(keep)(vec x, const uint16_t *lane, index_vec threshold) {
    index_vec kept = WIDEN(lane) >= threshold;
    return (vec)((index_vec)x & kept);
}

/* out[r] = the largest or the sum of row r's WIDTH lanes. Rows are turned into columns, since halving the lanes of every row is slow. */
BODY TARGET void NAME(fold)(const float *lanes, float *out, size_t rows, const bool largest) {
    for (size_t r = 0; r < rows; r += WIDTH) {
        vec x[WIDTH];
#pragma GCC unroll 16
        for (size_t i = 0; i < WIDTH; i++) x[i] = *(const vec *)(lanes + (r + i) * WIDTH);
        NAME(turn)(x);
#pragma GCC unroll 4
        for (int half = WIDTH / 2; half > 0; half /= 2)
#pragma GCC unroll 8
            for (int i = 0; i < half; i++) {
                if (largest) x[i] = LARGER(x[i], x[i + half]);
                else x[i] += x[i + half];
            }
        *(vec *)(out + r) = x[0];
    }
}
