/* datagen/deflate_block.c - see deflate_block.h. Codes are Huffman's, with zlib's order among equals: by depth, and the heap's own. */
#include <string.h>
#include "datagen/deflate_block.h"

enum { NODES = 2 * LITERALS + 1, LONGEST = 15, LONGEST_LENGTH_CODE = 7, REPEAT = 16, ZEROS = 17, MORE_ZEROS = 18 };

static const uint8_t length_extra[29] = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0 };
static const uint8_t length_base[29] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 255 };
static const uint8_t distance_extra[30] = { 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13 };
static const uint8_t length_code_extra[LENGTH_CODES] = { [REPEAT] = 2, [ZEROS] = 3, [MORE_ZEROS] = 7 };
static const uint8_t length_code_order[LENGTH_CODES] = { 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15 };

typedef struct code { uint16_t bits, length; } code;
typedef struct tree {
    uint16_t count[NODES + 1], parent[NODES + 1];
    uint8_t depth[NODES + 1];
    code code[LITERALS + 3];
    uint64_t heap[NODES + 2];                     /* from 1 on */
    int order[NODES], heap_count, sorted;         /* order: nodes by falling count, from `sorted` on */
    int symbols, most;                            /* most: the highest symbol used */
    uint64_t own_bits, fixed_bits;
} tree;

/* Value: length - 3. */
static unsigned length_code(unsigned value) {
    if (value < 8) return value;
    if (value == 255) return 28;
    unsigned high = 31u - (unsigned)__builtin_clz(value);
    return 4 * (high - 1) + (value >> (high - 2) & 3);
}
static unsigned distance_base(unsigned c) { return c < 4 ? c : (2 + (c & 1)) << (c / 2 - 1); }
static unsigned fixed_length(int c) { return c < 144 ? 8 : c < 256 ? 9 : c < 280 ? 7 : 8; }

/* Up to 48 bits. Whole bytes leave at once; of the 8 that are written those behind them will be written again. */
static inline void put(bit_writer *w, uint64_t bits, unsigned count) {
    w->held |= bits << w->bits;
    w->bits += count;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(w->at, &w->held, 8);
#else
    for (int i = 0; i < 8; i++) w->at[i] = (unsigned char)(w->held >> 8 * i);
#endif
    w->at += w->bits / 8;
    w->held >>= w->bits & ~7u;
    w->bits &= 7;
}

void bit_writer_align(bit_writer *w) {
    if (w->bits) *w->at++ = (unsigned char)w->held;
    w->held = w->bits = 0;
}

void deflate_block_start(deflate_block *b) {
    b->symbols = 0;
    memset(b->which_count, 0, sizeof b->which_count);
    memset(b->distance_count, 0, sizeof b->distance_count);
}

/* In the heap: count, then depth, then the node, which is no part of the order. */
static inline uint64_t heap_entry(const tree *t, int node) { return (uint64_t)t->count[node] << 32 | (uint64_t)t->depth[node] << 16 | (uint64_t)node; }
static inline int node_of(uint64_t entry) { return (int)(entry & 0xFFFF); }
static inline bool before(uint64_t a, uint64_t b) { return a >> 16 <= b >> 16; }

/* Behind the heap stands an entry that is never before another: which child is first is no branch. */
static void sink(tree *t, int k) {
    uint64_t v = t->heap[k];
    t->heap[t->heap_count + 1] = UINT64_MAX;
    for (int j = 2 * k; j <= t->heap_count; j *= 2) {
        j += before(t->heap[j + 1], t->heap[j]);
        if (before(v, t->heap[j])) break;
        t->heap[k] = t->heap[j];
        k = j;
    }
    t->heap[k] = v;
}

typedef struct tree_kind { const uint8_t *extra; int extra_from, longest; bool literals, fixed; } tree_kind;

static unsigned extra_of(const tree_kind *k, int n) { return n >= k->extra_from ? k->extra[n - k->extra_from] : 0; }
static unsigned fixed_of(const tree_kind *k, int n) { return !k->fixed ? 0 : k->literals ? fixed_length(n) : 5; }

/* Lengths from the sorted nodes; those too long are cut and paid for by lengthening others. */
static void set_lengths(tree *t, const tree_kind *kind, uint16_t at_length[LONGEST + 1]) {
    uint16_t length[NODES + 1];
    int too_long = 0, h;
    memset(at_length, 0, (LONGEST + 1) * sizeof *at_length);
    length[t->order[t->sorted]] = 0;
    for (h = t->sorted + 1; h < NODES; h++) {
        int n = t->order[h], bits = length[t->parent[n]] + 1;
        if (bits > kind->longest) bits = kind->longest, too_long++;
        length[n] = (uint16_t)bits;
        if (n > t->most) continue;
        at_length[bits]++;
        t->own_bits += t->count[n] * (uint64_t)((unsigned)bits + extra_of(kind, n));
        t->fixed_bits += t->count[n] * (uint64_t)(fixed_of(kind, n) + (kind->fixed ? extra_of(kind, n) : 0));
    }
    for (; too_long > 0; too_long -= 2) {
        int bits = kind->longest - 1;
        while (!at_length[bits]) bits--;
        at_length[bits]--;
        at_length[bits + 1] = (uint16_t)(at_length[bits + 1] + 2);
        at_length[kind->longest]--;
        if (too_long <= 2) {
            for (bits = kind->longest; bits; bits--) for (int n = at_length[bits]; n; ) {
                int m = t->order[--h];
                if (m > t->most) continue;
                t->own_bits += (uint64_t)(bits - length[m]) * t->count[m];
                length[m] = (uint16_t)bits;
                n--;
            }
        }
    }
    for (int n = 0; n <= t->most; n++) t->code[n].length = t->count[n] ? length[n] : 0;
}

static unsigned reversed(unsigned v, unsigned bits) {
    unsigned r = 0;
    for (; bits; bits--, v >>= 1) r = r << 1 | (v & 1);
    return r;
}

static void set_codes(tree *t, const uint16_t at_length[LONGEST + 1]) {
    unsigned next[LONGEST + 1] = {0}, c = 0;
    for (int bits = 1; bits <= LONGEST; bits++) next[bits] = c = (c + (bits > 1 ? at_length[bits - 1] : 0u)) << 1;
    for (int n = 0; n <= t->most; n++) if (t->code[n].length) t->code[n].bits = (uint16_t)reversed(next[t->code[n].length]++, t->code[n].length);
}

static void build(tree *t, const uint16_t *count, int symbols, const tree_kind *kind) {
    uint16_t at_length[LONGEST + 1];
    t->heap_count = 0;
    t->sorted = NODES;
    t->symbols = symbols;
    t->most = -1;
    t->own_bits = t->fixed_bits = 0;
    for (int n = 0; n < symbols; n++) {
        t->count[n] = count[n];
        t->code[n] = (code){0};
        t->depth[n] = 0;
        if (count[n]) t->heap[++t->heap_count] = heap_entry(t, t->most = n);
    }
    while (t->heap_count < 2) {                    /* a code has two words at least */
        int n = t->most < 2 ? ++t->most : 0;
        t->count[n] = 1;
        t->heap[++t->heap_count] = heap_entry(t, n);
        t->own_bits--;
        t->fixed_bits -= fixed_of(kind, n);
    }
    for (int n = t->heap_count / 2; n >= 1; n--) sink(t, n);
    for (int node = symbols; t->heap_count >= 2; node++) {
        int n = node_of(t->heap[1]), m;
        t->heap[1] = t->heap[t->heap_count--];
        sink(t, 1);
        m = node_of(t->heap[1]);
        t->order[--t->sorted] = n;
        t->order[--t->sorted] = m;
        t->count[node] = (uint16_t)(t->count[n] + t->count[m]);
        t->depth[node] = (uint8_t)((t->depth[n] > t->depth[m] ? t->depth[n] : t->depth[m]) + 1);
        t->parent[n] = t->parent[m] = (uint16_t)node;
        t->heap[1] = heap_entry(t, node);
        sink(t, 1);
    }
    t->order[--t->sorted] = node_of(t->heap[1]);
    set_lengths(t, kind, at_length);
    set_codes(t, at_length);
}

/* The lengths of a tree's codes, run by run: counts the words that tell them, or writes them. */
static void tell_lengths(const tree *t, uint16_t *count, const tree *words, bit_writer *w) {
    int previous = -1, run = 0;
    for (int n = 0; n <= t->most; n++) {
        int now = t->code[n].length, next = n < t->most ? t->code[n + 1].length : -1;
        int most = !now ? 138 : now == previous ? 6 : 7, least = !now || now == previous ? 3 : 4;
        if (++run < most && now == next) continue;
        int word = run < least ? -1 : now ? REPEAT : run <= 10 ? ZEROS : MORE_ZEROS, plain = word < 0 ? run : word == REPEAT && now != previous;
        for (int i = 0; i < plain; i++) {
            if (count) count[now]++;
            else put(w, words->code[now].bits, words->code[now].length);
        }
        if (word >= 0 && count) count[word]++;
        else if (word >= 0) {
            put(w, words->code[word].bits, words->code[word].length);
            put(w, (uint32_t)(run - (word == REPEAT ? plain + 3 : word == ZEROS ? 3 : 11)), length_code_extra[word]);
        }
        run = 0;
        previous = now;
    }
}

typedef struct near_bits { uint32_t bits, count; } near_bits;            /* count: of the bits */
typedef struct far_bits { uint16_t bits, base; uint8_t length, count; } far_bits;    /* length: of the code; count: with extra bits */

/* Codes with all extra bits of literals and lengths; codes of distances, the one of literals being none. */
static void join_codes(const code *literal, const code *distance, near_bits near[WHICH], far_bits far[DISTANCES + 1]) {
    for (unsigned v = 0; v < LENGTH_FROM; v++) {
        unsigned c = length_code(v);
        code k = literal[BLOCK_END + 1 + c];
        near[v] = (near_bits){ literal[v].bits, literal[v].length };
        near[LENGTH_FROM + v] = (near_bits){ k.bits | (uint32_t)(v - length_base[c]) << k.length, (uint32_t)k.length + length_extra[c] };
    }
    for (unsigned c = 0; c < DISTANCES; c++)
        far[c] = (far_bits){ distance[c].bits, (uint16_t)distance_base(c), (uint8_t)distance[c].length, (uint8_t)(distance[c].length + distance_extra[c]) };
    far[NO_DISTANCE] = (far_bits){0};
}

/* Without a branch: whether a symbol is a match cannot be foreseen. */
static void put_symbols(const deflate_block *b, const code *literal, const code *distance, bit_writer *to) {
    near_bits near[WHICH];
    far_bits far[DISTANCES + 1];
    bit_writer w = *to;
    join_codes(literal, distance, near, far);
    for (size_t i = 0; i < b->symbols; i++) {
        uint32_t s = b->symbol[i], d = s & ((1u << WHICH_AT) - 1);
        near_bits n = near[s >> WHICH_AT & (WHICH - 1)];
        far_bits f = far[s >> CODE_AT];
        put(&w, n.bits | (f.bits | (uint64_t)(d - f.base) << f.length) << n.count, n.count + f.count);
    }
    put(&w, literal[BLOCK_END].bits, literal[BLOCK_END].length);
    *to = w;
}

static void put_fixed(const deflate_block *b, bit_writer *w) {
    code literal[LITERALS + 2], distance[DISTANCES];
    unsigned next[10] = { [7] = 0, [8] = 0x30, [9] = 0x190 };
    for (int n = 0; n < LITERALS + 2; n++) {
        unsigned bits = fixed_length(n);
        literal[n] = (code){ (uint16_t)reversed(next[bits]++, bits), (uint16_t)bits };
    }
    for (unsigned n = 0; n < DISTANCES; n++) distance[n] = (code){ (uint16_t)reversed(n, 5), 5 };
    put_symbols(b, literal, distance, w);
}

static void put_stored(const unsigned char *data, size_t bytes, bit_writer *w) {
    bit_writer_align(w);
    const unsigned char head[4] = { (unsigned char)bytes, (unsigned char)(bytes >> 8), (unsigned char)~bytes, (unsigned char)(~bytes >> 8) };
    memcpy(w->at, head, sizeof head);
    memcpy(w->at + 4, data, bytes);
    w->at += 4 + bytes;
}

void deflate_block_end(deflate_block *b, const unsigned char *data, size_t bytes, bool last, bit_writer *w) {
    static const tree_kind literals = { length_extra, BLOCK_END + 1, LONGEST, true, true }, distances = { distance_extra, 0, LONGEST, false, true },
                           words = { length_code_extra, 0, LONGEST_LENGTH_CODE, false, false };
    tree l, d, k;
    uint16_t count[LENGTH_CODES] = {0}, literal_count[LITERALS] = { [BLOCK_END] = 1 };
    memcpy(literal_count, b->which_count, LENGTH_FROM * sizeof *literal_count);
    for (unsigned v = 0; v < LENGTH_FROM; v++)
        literal_count[BLOCK_END + 1 + length_code(v)] = (uint16_t)(literal_count[BLOCK_END + 1 + length_code(v)] + b->which_count[LENGTH_FROM + v]);
    build(&l, literal_count, LITERALS, &literals);
    build(&d, b->distance_count, DISTANCES, &distances);
    tell_lengths(&l, count, NULL, NULL);
    tell_lengths(&d, count, NULL, NULL);
    build(&k, count, LENGTH_CODES, &words);
    int told = LENGTH_CODES - 1;
    while (told >= 3 && (length_code_order[told] > k.most || !k.code[length_code_order[told]].length)) told--;
    uint64_t own = (l.own_bits + d.own_bits + k.own_bits + 3 * (uint64_t)(told + 1) + 14 + 3 + 7) >> 3, fixed = (l.fixed_bits + d.fixed_bits + 3 + 7) >> 3;
    uint64_t shortest = fixed <= own ? fixed : own;
    if (bytes + 4 <= shortest) {
        put(w, last, 3);
        put_stored(data, bytes, w);
    } else if (fixed <= own) {
        put(w, 2u + last, 3);
        put_fixed(b, w);
    } else {
        put(w, 4u + last, 3);
        put(w, (uint32_t)(l.most + 1 - 257), 5);
        put(w, (uint32_t)d.most, 5);
        put(w, (uint32_t)(told + 1 - 4), 4);
        for (int i = 0; i <= told; i++) put(w, length_code_order[i] > k.most ? 0 : k.code[length_code_order[i]].length, 3);
        tell_lengths(&l, NULL, &k, w);
        tell_lengths(&d, NULL, &k, w);
        put_symbols(b, l.code, d.code, w);
    }
    deflate_block_start(b);
}
