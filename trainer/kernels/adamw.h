/* trainer/kernels/adamw.h - one AdamW update of a run of elements.
 *
 *     g' = clip g;  m = beta1 m + (1 - beta1) g';  v = beta2 v + (1 - beta2) g'^2
 *     w  = w - step m / (sqrt(v) root + epsilon) - shrink w            the decay works on the old w
 *
 * With bias correction step = rate / (1 - beta1^t) and root = 1 / sqrt(1 - beta2^t); without, rate and 1. shrink = rate * weight_decay, 0 for
 * tensors without decay. Source: Loshchilov & Hutter 2019, algorithm 2; torch.optim.AdamW (epsilon outside the root). */
#ifndef TRAINER_KERNELS_ADAMW_H
#define TRAINER_KERNELS_ADAMW_H
#include <stddef.h>

typedef struct adamw_step { double clip, beta1, beta2, epsilon, step, root, shrink; } adamw_step;

/* w, m, v (n) in place; g (n) is read. Dispatches by kernels_level(). */
void adamw_update(const adamw_step *s, size_t n, float *w, float *m, float *v, const float *g);

/* The same at a given level (0 ref, 1 base, 2 avx2, 3 avx512), for tests; levels this CPU's architecture lacks are base. */
void adamw_update_at(int level, const adamw_step *s, size_t n, float *w, float *m, float *v, const float *g);

/* Sum of squares in double, in a fixed order (8 lanes, then pairwise): the same bits at every level but ref. */
double sum_of_squares(size_t n, const float *g);
double sum_of_squares_at(int level, size_t n, const float *g);
#endif
