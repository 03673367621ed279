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

static void adamw_base(const adamw_step *s, size_t n, float *w, float *m, float *v, const float *g) { adamw_body(s, n, w, m, v, g); }
static double squares_base(size_t n, const float *g) { return squares_body(n, g); }

#if defined(__x86_64__)
AVX2 static void adamw_avx2(const adamw_step *s, size_t n, float *w, float *m, float *v, const float *g) { adamw_body(s, n, w, m, v, g); }
AVX512 static void adamw_avx512(const adamw_step *s, size_t n, float *w, float *m, float *v, const float *g) { adamw_body(s, n, w, m, v, g); }
AVX2 static double squares_avx2(size_t n, const float *g) { return squares_body(n, g); }
AVX512 static double squares_avx512(size_t n, const float *g) { return squares_body(n, g); }
#else
#define adamw_avx2 adamw_base
#define adamw_avx512 adamw_base
#define squares_avx2 squares_base
#define squares_avx512 squares_base
#endif

typedef void adamw_kernel(const adamw_step *s, size_t n, float *w, float *m, float *v, const float *g);
typedef double squares_kernel(size_t n, const float *g);
static adamw_kernel *const adamw_table[] = { adamw_ref, adamw_base, adamw_avx2, adamw_avx512 };
static squares_kernel *const squares_table[] = { squares_ref, squares_base, squares_avx2, squares_avx512 };

void adamw_update_at(int level, const adamw_step *s, size_t n, float *w, float *m, float *v, const float *g) {
    adamw_table[level](s, n, w, m, v, g);
}

void adamw_update(const adamw_step *s, size_t n, float *w, float *m, float *v, const float *g) {
    adamw_update_at(kernels_level(), s, n, w, m, v, g);
}

double sum_of_squares_at(int level, size_t n, const float *g) { return squares_table[level](n, g); }

double sum_of_squares(size_t n, const float *g) { return sum_of_squares_at(kernels_level(), n, g); }
