/* trainer/work.h - how much arithmetic training needs: what rates and shares of the peak are counted from.
 *
 * Forward, a multiply-add as 2, with N tokens, R rows that the losses read (masked tokens and [CLS]), K masked tokens, B pairs, n tokens and
 * r such rows of one sequence:
 *
 *     all layers but the last   2 N (4 H^2 + 2 H I) + 4 H sum(n^2)
 *     the last layer            2 N 2 H^2 + 2 R (2 H^2 + 2 H I) + 4 H sum(n r)
 *     heads                     2 K (H^2 + H V) + 2 B (H^2 + 2 H)
 *
 * Backward needs twice as much. Padding, recomputation and element-wise work do not count. */
#ifndef TRAINER_WORK_H
#define TRAINER_WORK_H
#include "trainer/batch.h"   /* batch */
#include "trainer/model.h"   /* model */

double work_flops(const model *m, const batch *b);   /* of forward and backward */
#endif
