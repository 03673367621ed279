/* trainer/kernels/adamw.c - see adamw.h. */
#include <math.h>
#include "trainer/kernels/adamw.h"
#include "trainer/kernels/kernels.h"   /* kernels_level */
#include "trainer/kernels/levels.h"

static void adamw_ref(const adamw_step *s, size_t n, float *w, float *m, float *v, const float *g) {
    for (size_t i = 0; i < n; i++) {
        double gradient = s->clip * g[i];
        double first = s->beta1 * m[i] + (1 - s->beta1) * gradient;
        double second = s->beta2 * v[i] + (1 - s->beta2) * gradient * gradient;
        double moved = s->step * first / (sqrt(second) * s->root + s->epsilon);
        w[i] = (float)(w[i] - moved - s->shrink * w[i]);
        m[i] = (float)first;
        v[i] = (float)second;
    }
}

BODY void adamw_body(const adamw_step *s, size_t n, float *restrict w, float *restrict m, float *restrict v, const float *restrict g) {
    const float clip = (float)s->clip, keep1 = (float)s->beta1, new1 = (float)(1 - s->beta1), keep2 = (float)s->beta2;
    const float new2 = (float)(1 - s->beta2), epsilon = (float)s->epsilon, step = (float)s->step, root = (float)s->root;
    const float shrink = (float)s->shrink;
    #pragma omp simd
    for (size_t i = 0; i < n; i++) {
        float gradient = clip * g[i];
        float first = keep1 * m[i] + new1 * gradient;
        float second = keep2 * v[i] + new2 * gradient * gradient;
        w[i] -= step * first / (sqrtf(second) * root + epsilon) + shrink * w[i];
        m[i] = first;
        v[i] = second;
    }
}

static double squares_ref(size_t n, const float *g) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)g[i] * g[i];
    return sum;
}

/* Eight lanes by hand: float sums may not be reordered by the compiler, and the square of a float is exact in double, so a fused
 * multiply-add gives the bits of a multiply and an add. */
BODY double squares_body(size_t n, const float *g) {
    double lane[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        #pragma omp simd
        for (size_t j = 0; j < 8; j++) lane[j] += (double)g[i + j] * g[i + j];
    for (; i < n; i++) lane[i % 8] += (double)g[i] * g[i];
    return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

static double direction_of(const adamw_step *s, float w, float m, float v) {
    return s->step * m / (sqrt((double)v) * s->root + s->epsilon) + s->shrink * w;
}

static void lamb_direction_ref(const adamw_step *s, size_t n, const float *w, float *m, float *v, const float *g, lamb_squares *sum) {
    *sum = (lamb_squares){0};
    for (size_t i = 0; i < n; i++) {
        double gradient = s->clip * g[i];
        m[i] = (float)(s->beta1 * m[i] + (1 - s->beta1) * gradient);
        v[i] = (float)(s->beta2 * v[i] + (1 - s->beta2) * gradient * gradient);
        double u = direction_of(s, w[i], m[i], v[i]);
        sum->weights += (double)w[i] * w[i];
        sum->direction += u * u;
    }
}

static void lamb_move_ref(const adamw_step *s, double rate, size_t n, float *w, const float *m, const float *v) {
    for (size_t i = 0; i < n; i++) w[i] = (float)(w[i] - rate * direction_of(s, w[i], m[i], v[i]));
}

enum { SPAN = 64 };                      /* floats of the direction that exist at one time */

BODY void directions_body(const adamw_step *s, size_t n, const float *restrict w, const float *restrict m, const float *restrict v, float *restrict u) {
    const float epsilon = (float)s->epsilon, step = (float)s->step, root = (float)s->root, shrink = (float)s->shrink;
    #pragma omp simd
    for (size_t i = 0; i < n; i++) u[i] = step * m[i] / (sqrtf(v[i]) * root + epsilon) + shrink * w[i];
}

BODY void lamb_direction_body(const adamw_step *s, size_t n, const float *w, float *m, float *v, const float *g, lamb_squares *sum) {
    const float clip = (float)s->clip, keep1 = (float)s->beta1, new1 = (float)(1 - s->beta1), keep2 = (float)s->beta2;
    const float new2 = (float)(1 - s->beta2);
    double weights = 0, direction = 0;
    for (size_t first = 0; first < n; first += SPAN) {
        size_t count = n - first < SPAN ? n - first : SPAN;
        float u[SPAN];
        #pragma omp simd
        for (size_t i = first; i < first + count; i++) {
            float gradient = clip * g[i];
            m[i] = keep1 * m[i] + new1 * gradient;
            v[i] = keep2 * v[i] + new2 * gradient * gradient;
        }
        directions_body(s, count, w + first, m + first, v + first, u);
        weights += squares_body(count, w + first);
        direction += squares_body(count, u);
    }
    *sum = (lamb_squares){weights, direction};
}
LEVELS(void, lamb_direction, (const adamw_step *s, size_t n, const float *w, float *m, float *v, const float *g, lamb_squares *sum),
       (s, n, w, m, v, g, sum))

BODY void lamb_move_body(const adamw_step *s, double rate, size_t n, float *w, const float *m, const float *v) {
    const float by = (float)rate;
    for (size_t first = 0; first < n; first += SPAN) {
        size_t count = n - first < SPAN ? n - first : SPAN;
        float u[SPAN];
        directions_body(s, count, w + first, m + first, v + first, u);
        #pragma omp simd
        for (size_t i = 0; i < count; i++) w[first + i] -= by * u[i];
    }
}
LEVELS(void, lamb_move, (const adamw_step *s, double rate, size_t n, float *w, const float *m, const float *v), (s, rate, n, w, m, v))

static void add_and_square_ref(size_t n, const float *a, const float *b, float *to, double *sum) {
    for (size_t i = 0; i < n; i++) to[i] = a[i] + b[i];
    *sum = squares_ref(n, to);
}

BODY void add_and_square_body(size_t n, const float *a, const float *b, float *to, double *sum) {
    #pragma omp simd
    for (size_t i = 0; i < n; i++) to[i] = a[i] + b[i];
    *sum = squares_body(n, to);
}
LEVELS(void, add_and_square, (size_t n, const float *a, const float *b, float *to, double *sum), (n, a, b, to, sum))

LEVELS(void, adamw, (const adamw_step *s, size_t n, float *w, float *m, float *v, const float *g), (s, n, w, m, v, g))
LEVELS(double, squares, (size_t n, const float *g), (n, g))

void adamw_update_at(int level, const adamw_step *s, size_t n, float *w, float *m, float *v, const float *g) {
    LEVEL(adamw, level)(s, n, w, m, v, g);
}

void adamw_update(const adamw_step *s, size_t n, float *w, float *m, float *v, const float *g) {
    adamw_update_at(kernels_level(), s, n, w, m, v, g);
}

double sum_of_squares_at(int level, size_t n, const float *g) { return LEVEL(squares, level)(n, g); }

double sum_of_squares(size_t n, const float *g) { return sum_of_squares_at(kernels_level(), n, g); }

lamb_squares lamb_direction_at(int level, const adamw_step *s, size_t n, const float *w, float *m, float *v, const float *g) {
    lamb_squares sum;
    LEVEL(lamb_direction, level)(s, n, w, m, v, g, &sum);
    return sum;
}

lamb_squares lamb_direction(const adamw_step *s, size_t n, const float *w, float *m, float *v, const float *g) {
    return lamb_direction_at(kernels_level(), s, n, w, m, v, g);
}

void lamb_move_at(int level, const adamw_step *s, double rate, size_t n, float *w, const float *m, const float *v) {
    LEVEL(lamb_move, level)(s, rate, n, w, m, v);
}

void lamb_move(const adamw_step *s, double rate, size_t n, float *w, const float *m, const float *v) {
    lamb_move_at(kernels_level(), s, rate, n, w, m, v);
}

double add_and_square(size_t n, const float *a, const float *b, float *to) {
    double sum;
    LEVEL(add_and_square, kernels_level())(n, a, b, to, &sum);
    return sum;
}
