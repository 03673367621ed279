/* datagen/pair_table.c - see pair_table.h. The heap is lazy: a bid whose count is out of date is corrected when it comes up. */
#include "datagen/pair_table.h"
#include <stdlib.h>
#include "base/fail.h"

void pair_table_init(pair_table *t) {
    *t = (pair_table){.room = 1 << 12, .slots = 1 << 13, .places_room = 1 << 12, .places_count = 1, .grown_room = 1 << 10, .heap_room = 1 << 12};
    t->pair = must_alloc(t->room, sizeof *t->pair);
    t->slot = must_zalloc(t->slots, sizeof *t->slot);
    t->places = must_alloc(t->places_room, sizeof *t->places);
    t->grown = must_alloc(t->grown_room, sizeof *t->grown);
    t->heap = must_alloc(t->heap_room, sizeof *t->heap);
}

void pair_table_free(pair_table *t) {
    free(t->pair);
    free(t->slot);
    free(t->places);
    free(t->grown);
    free(t->heap);
    *t = (pair_table){0};
}

static size_t slot_of(const pair_table *t, uint64_t key) {
    uint64_t h = key * UINT64_C(0x9e3779b97f4a7c15);
    size_t i = (size_t)(h ^ h >> 32) & (t->slots - 1);
    while (t->slot[i] && t->pair[t->slot[i] - 1].key != key) i = (i + 1) & (t->slots - 1);
    return i;
}

static void grow(pair_table *t) {
    if (t->count >= UINT32_MAX / 2) fail(EXIT_MACHINE, "more than %zu pairs of pieces; learn the vocabulary from a part of the text", t->count);
    t->pair = must_realloc(t->pair, t->room *= 2, sizeof *t->pair);
    free(t->slot);
    t->slot = must_zalloc(t->slots = 2 * t->room, sizeof *t->slot);
    for (size_t i = 0; i < t->count; i++) t->slot[slot_of(t, t->pair[i].key)] = (uint32_t)i + 1;
}

static void remember(pair_table *t, symbol_pair *p, uint32_t word) {
    if (p->places && p->last == word) return;
    p->last = word;
    if (!p->places || t->places[p->places].used == 6) {
        uint32_t fresh = t->places_free;
        if (fresh) t->places_free = t->places[fresh].next;
        else {
            if (t->places_count == UINT32_MAX) fail(EXIT_MACHINE, "too many different words; learn the vocabulary from a part of the text");
            if (t->places_count == t->places_room) t->places = must_realloc(t->places, t->places_room *= 2, sizeof *t->places);
            fresh = (uint32_t)t->places_count++;
        }
        t->places[fresh] = (pair_places){.next = p->places};
        p->places = fresh;
    }
    pair_places *l = &t->places[p->places];
    l->word[l->used++] = word;
}

void pair_table_add(pair_table *t, uint32_t left, uint32_t right, int64_t n, uint32_t word) {
    uint64_t key = (uint64_t)left << 32 | right;
    size_t i = slot_of(t, key);
    if (!t->slot[i]) {
        if (t->count == t->room) grow(t), i = slot_of(t, key);
        t->pair[t->count] = (symbol_pair){.key = key};
        t->slot[i] = (uint32_t)++t->count;
    }
    symbol_pair *p = &t->pair[t->slot[i] - 1];
    p->count += n;
    if (n <= 0) return;
    remember(t, p, word);
    if (p->grown) return;
    p->grown = true;
    if (t->grown_count == t->grown_room) t->grown = must_realloc(t->grown, t->grown_room *= 2, sizeof *t->grown);
    t->grown[t->grown_count++] = t->slot[i] - 1;
}

static bool before(const pair_bid *a, const pair_bid *b) { return a->count != b->count ? a->count > b->count : a->key < b->key; }

static void push(pair_table *t, pair_bid bid) {
    if (t->heap_count == t->heap_room) t->heap = must_realloc(t->heap, t->heap_room *= 2, sizeof *t->heap);
    size_t i = t->heap_count++;
    for (; i && before(&bid, &t->heap[(i - 1) / 2]); i = (i - 1) / 2) t->heap[i] = t->heap[(i - 1) / 2];
    t->heap[i] = bid;
}

static pair_bid pop(pair_table *t) {
    pair_bid top = t->heap[0], last = t->heap[--t->heap_count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < t->heap_count; i = child) {
        if (child + 1 < t->heap_count && before(&t->heap[child + 1], &t->heap[child])) child++;
        if (!before(&t->heap[child], &last)) break;
        t->heap[i] = t->heap[child];
    }
    t->heap[i] = last;
    return top;
}

void pair_table_settle(pair_table *t) {
    for (size_t i = 0; i < t->grown_count; i++) {
        symbol_pair *p = &t->pair[t->grown[i]];
        p->grown = false;
        if (p->count > 0) push(t, (pair_bid){p->key, p->count, t->grown[i]});
    }
    t->grown_count = 0;
}

int64_t pair_table_take(pair_table *t, int64_t least) {
    while (t->heap_count) {
        pair_bid top = pop(t);
        int64_t now = t->pair[top.pair].count;
        if (top.count < least) return -1;
        if (now == top.count) return top.pair;
        if (now < top.count && now > 0) {       /* it fell; one that rose has a better bid in the heap already */
            top.count = now;
            push(t, top);
        }
    }
    return -1;
}

uint32_t pair_table_places(pair_table *t, size_t pair) {
    uint32_t first = t->pair[pair].places;
    t->pair[pair].places = 0;
    return first;
}

void pair_table_release(pair_table *t, uint32_t first) {
    while (first) {
        uint32_t next = t->places[first].next;
        t->places[first].next = t->places_free;
        t->places_free = first;
        first = next;
    }
}
