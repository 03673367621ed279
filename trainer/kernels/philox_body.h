/* trainer/kernels/philox_body.h - rng_philox_rounds() for many blocks side by side; included once for every instruction set with
 * LANES64 (64-bit lanes of a vector), TARGET, NAME(f), and MULTIPLY(a, b): 64-bit products of the lanes' low halves.
 *
 * A word stands in the low half of a lane; what is left in the high half is never read, so that a product needs no cleaning. gcc makes
 * the multiplication of whole 64-bit lanes out of plain C, three times the work: hence the intrinsics. */
#define wide NAME(wide)
typedef uint64_t wide __attribute__((vector_size(8 * LANES64), aligned(2), may_alias));
#define GROUP (2 * LANES64)

/* Word pairs (0, 1) and (2, 3) of blocks first .. first + LANES64 - 1, written block after block to out. Two vectors hide the latency. */
BODY TARGET void NAME(philox_pair)(const uint64_t round_key[10][2], uint64_t first, uint16_t *out) {
    wide c0[2], c1[2], c2[2], c3[2];
    for (int v = 0; v < 2; v++) {
        c0[v] = first + *(const wide *)(counting + v * LANES64);
        c1[v] = c0[v] >> 32;
        c2[v] = c3[v] = (wide){0};
    }
#pragma GCC unroll 10
    for (int round = 0; round < 10; round++)
#pragma GCC unroll 2
        for (int v = 0; v < 2; v++) {
            wide p0 = MULTIPLY(c0[v], 0xD2511F53u), p1 = MULTIPLY(c2[v], 0xCD9E8D57u);
            c0[v] = (p1 >> 32) ^ c1[v] ^ round_key[round][0];
            c2[v] = (p0 >> 32) ^ c3[v] ^ round_key[round][1];
            c1[v] = p1;
            c3[v] = p0;
        }
#pragma GCC unroll 2
    for (int v = 0; v < 2; v++) {
        wide low = (c0[v] & 0xffffffffu) | c1[v] << 32, high = (c2[v] & 0xffffffffu) | c3[v] << 32, even, odd;
        for (int j = 0; j < LANES64; j++) {
            even[j] = (uint64_t)(j / 2 + j % 2 * LANES64);
            odd[j] = (uint64_t)(LANES64 / 2 + j / 2 + j % 2 * LANES64);
        }
        *(wide *)(out + v * 8 * LANES64) = __builtin_shuffle(low, high, even);
        *(wide *)(out + v * 8 * LANES64 + 4 * LANES64) = __builtin_shuffle(low, high, odd);
    }
}

TARGET static void NAME(dropout_rows)(rng_key key, const uint64_t *first, size_t rows, size_t blocks, uint16_t *lane, size_t stride) {
    uint64_t round_key[10][2];
    for (uint32_t r = 0; r < 10; r++) round_key[r][0] = key.word[0] + r * 0x9E3779B9u, round_key[r][1] = key.word[1] + r * 0xBB67AE85u;
    for (size_t row = 0; row < rows; row++)
        for (size_t b = 0; b < blocks; b += GROUP) {
            uint16_t out[8 * GROUP], *to = lane + row * stride + 8 * b;
            bool whole = blocks - b >= GROUP;
            NAME(philox_pair)(round_key, first[row] + b, whole ? to : out);
            if (!whole) memcpy(to, out, (blocks - b) * 16);
        }
}

TARGET static void NAME(dropout_lanes)(rng_key key, uint64_t first, size_t blocks, uint16_t *lane) {
    NAME(dropout_rows)(key, &first, 1, blocks, lane, 0);
}
#undef wide
#undef GROUP
#undef LANES64
#undef TARGET
#undef NAME
#undef MULTIPLY
