/* trainer/kernels/gemm_kernels.c - gemm_body.h for every instruction set.
 *
 * Register tiles: AVX-512 14 x 32 (28 sums, 2 of b, 1 of a: all 32 registers), AVX2 6 x 16 (12 + 2 + 1 of 16), base 6 x 8 by vectors of
 * four (12 + 2 + 1 of 16 with SSE2; NEON has room to spare). */
#include "trainer/kernels/gemm_kernels.h"
#include <stdint.h>
#include <string.h>
#include "trainer/kernels/kernels.h"
#include "trainer/kernels/levels.h"

static inline void gemm_fetch_line(gemm_fetch *f) {
    if (f->rows == 0) return;
    __builtin_prefetch(f->at, 0, 2);             /* into the second level: the first is full of what is used now */
    f->at += GEMM_LINE;
    if (f->at < f->end) return;
    f->at = f->end + f->skip;
    f->end = f->at + f->row;
    f->rows--;
}

/* The next panel, while `tiles` register tiles use the one before it. */
typedef struct gemm_panel { const char *at, *end; size_t each; } gemm_panel;      /* lines for every two steps of k */

static inline gemm_panel gemm_next_panel(const gemm_block *g, const float *panel, size_t floats, size_t tiles) {
    const char *at = (const char *)panel, *end = at + floats * sizeof *panel;
    size_t steps = tiles * (g->k / GEMM_GROUP) * (GEMM_GROUP / 2), lines = (size_t)(end - at) / GEMM_LINE;
    if (!g->far || steps == 0) return (gemm_panel){at, at, 0};
    return (gemm_panel){at, end, (lines + steps - 1) / steps};
}

/* A tile that sticks out of c: of each row of PANEL sums, the first columns. */
static __attribute__((noinline)) void gemm_edge(const gemm_block *g, const float *sum, size_t panel, float *c, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++, sum += panel, c += g->ldc)
        for (size_t i = 0; i < columns; i++) c[i] = g->add ? c[i] + sum[i] : sum[i];
}

#define GEMM(f) f##_base
#define GEMM_TARGET
#define GEMM_LANES 4
#define GEMM_HEIGHT 6
#define GEMM_EACH(f) f(1) f(2) f(3) f(4) f(5) f(6)
#define GEMM_PANEL 8
#include "trainer/kernels/gemm_body.h"
#include "trainer/kernels/gemm_pack.h"
#undef GEMM
#undef GEMM_TARGET
#undef GEMM_LANES
#undef GEMM_HEIGHT
#undef GEMM_EACH
#undef GEMM_PANEL

#if defined(__x86_64__)
#define GEMM(f) f##_avx2
#define GEMM_TARGET __attribute__((target("avx2,fma")))
#define GEMM_LANES 8
#define GEMM_HEIGHT 6
#define GEMM_EACH(f) f(1) f(2) f(3) f(4) f(5) f(6)
#define GEMM_PANEL 16
#include "trainer/kernels/gemm_body.h"
#include "trainer/kernels/gemm_pack.h"
#undef GEMM
#undef GEMM_TARGET
#undef GEMM_LANES
#undef GEMM_HEIGHT
#undef GEMM_EACH
#undef GEMM_PANEL

#define GEMM(f) f##_avx512
#define GEMM_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")))
#define GEMM_LANES 16
#define GEMM_HEIGHT 14
#define GEMM_EACH(f) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12) f(13) f(14)
#define GEMM_PANEL 32
#include "trainer/kernels/gemm_body.h"
#include "trainer/kernels/gemm_pack.h"
#endif

gemm_kernels gemm_kernels_of(int level) {
#if defined(__x86_64__)
    if (level == KERNELS_AVX512) return (gemm_kernels){32, 14, block_avx512, pack_a_avx512, pack_b_avx512, turned_avx512};
    if (level == KERNELS_AVX2) return (gemm_kernels){16, 6, block_avx2, pack_a_avx2, pack_b_avx2, turned_avx2};
#endif
    (void)level;
    return (gemm_kernels){8, 6, block_base, pack_a_base, pack_b_base, turned_base};
}
