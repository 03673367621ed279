/* trainer/kernels/kernels.c - which set this CPU runs. */
#include "trainer/kernels/kernels.h"
#include <stdlib.h>
#include <string.h>
#include "trainer/kernels/gemm.h"

kernels kernel;
static int chosen = -1;
static const char *const level_name[] = {"ref", "base", "avx2", "avx512"};

static int best_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
                 && __builtin_cpu_supports("avx512vl");
    return avx512 ? KERNELS_AVX512 : avx2 ? KERNELS_AVX2 : KERNELS_BASE;
#else
    return KERNELS_BASE;
#endif
}

int kernels_start(int lowest, error *e) {
    int best = best_level(), level = best;
    const char *wanted = getenv("BERT_ISA");
    if (wanted && *wanted) {
        for (level = 0; level <= KERNELS_AVX512 && strcmp(wanted, level_name[level]) != 0; level++) continue;
        if (level > KERNELS_AVX512) return error_set(e, EXIT_USAGE, "BERT_ISA=%.40s: not a kernel set; use ref, base, avx2 or avx512", wanted);
        if (level > best)
            return error_set(e, EXIT_USAGE, "BERT_ISA=%s: this CPU's best kernel set is %s; unset BERT_ISA or use it", wanted, level_name[best]);
    }
    if (lowest >= 0 && lowest < level) level = lowest;
    kernels_fill_elements(&kernel, level);
    kernels_fill_layernorm(&kernel, level);
    kernels_fill_softmax(&kernel, level);
    kernels_fill_logits(&kernel, level);
    kernels_fill_dropout(&kernel, level);
    kernels_fill_attention(&kernel, level);
    if (gemm_start(e)) return e->code;
    gemm_set_level(level);
    chosen = level;
    return 0;
}

int kernels_level(void) { return chosen; }
const char *kernels_name(void) { return chosen < 0 ? "none" : level_name[chosen]; }
