/* trainer/kernels/adamw.h - updates of a run of elements: AdamW in one pass, LAMB in two.
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

/* LAMB (You et al. 2020, algorithm 2; NVIDIA's FusedLAMB): the direction of a run of elements is
 *
 *     u = step m / (sqrt(v) root + epsilon) + shrink w              step = 1 / (1 - beta1^t) or 1; shrink = weight_decay or 0
 *
 * lamb_direction() makes the new m and v and returns the sums of squares of w and u over the run, in double and in a fixed order;
 * lamb_move() makes u again and w = w - rate u. */
typedef struct lamb_squares { double weights, direction; } lamb_squares;
lamb_squares lamb_direction(const adamw_step *s, size_t n, const float *w, float *m, float *v, const float *g);
void lamb_move(const adamw_step *s, double rate, size_t n, float *w, const float *m, const float *v);
lamb_squares lamb_direction_at(int level, const adamw_step *s, size_t n, const float *w, float *m, float *v, const float *g);
void lamb_move_at(int level, const adamw_step *s, double rate, size_t n, float *w, const float *m, const float *v);

/* to = a + b, and the sum of squares of that: the tied matrix' two parts come together on the way to the norm. */
double add_and_square(size_t n, const float *a, const float *b, float *to);

/* Sum of squares in double, in a fixed order (8 lanes, then pairwise): the same bits at every level but ref. */
double sum_of_squares(size_t n, const float *g);
double sum_of_squares_at(int level, size_t n, const float *g);
#endif
