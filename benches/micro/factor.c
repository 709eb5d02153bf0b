// Bignum arithmetic on tiny, short-lived blocks, as in cfrac: the continued
// fraction of sqrt(N), where every intermediate number is a fresh block of 8 to
// 40 bytes that dies within a few operations.
#include "bench.h"

typedef struct {
    uint32_t length;
    uint32_t limb[]; // least significant first, no leading zeros
} num_t;

static num_t *num_new(uint32_t length)
{
    num_t *n = must(malloc(sizeof *n + length * sizeof n->limb[0]));
    n->length = length;
    return n;
}

static num_t *trimmed(num_t *n)
{
    while (n->length > 0 && n->limb[n->length - 1] == 0)
        n->length--;
    return n;
}

static int compare(const num_t *a, const num_t *b)
{
    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    for (uint32_t i = a->length; i-- > 0;)
        if (a->limb[i] != b->limb[i])
            return a->limb[i] < b->limb[i] ? -1 : 1;
    return 0;
}

// a * m + b
static num_t *mul_add(const num_t *a, uint32_t m, const num_t *b)
{
    uint32_t length = (a->length > b->length ? a->length : b->length) + 1;
    num_t *r = num_new(length);
    uint64_t carry = 0;
    for (uint32_t i = 0; i < length; i++) {
        carry += (i < a->length ? (uint64_t)a->limb[i] * m : 0) + (i < b->length ? b->limb[i] : 0);
        r->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return trimmed(r);
}

// a - b, where a >= b
static num_t *sub(const num_t *a, const num_t *b)
{
    num_t *r = num_new(a->length);
    int64_t borrow = 0;
    for (uint32_t i = 0; i < a->length; i++) {
        borrow += (int64_t)a->limb[i] - (i < b->length ? b->limb[i] : 0);
        r->limb[i] = (uint32_t)borrow;
        borrow >>= 32;
    }
    return trimmed(r);
}

static num_t *div_small(const num_t *a, uint32_t d, uint32_t *rest)
{
    num_t *r = num_new(a->length);
    uint64_t left = 0;
    for (uint32_t i = a->length; i-- > 0;) {
        left = left << 32 | a->limb[i];
        r->limb[i] = (uint32_t)(left / d);
        left %= d;
    }
    *rest = (uint32_t)left;
    return trimmed(r);
}

// Replaces *a by a mod b and returns the quotient, which is small.
static uint32_t reduce(num_t **a, const num_t *b)
{
    uint32_t q = 0;
    while (compare(*a, b) >= 0) {
        num_t *less = sub(*a, b);
        free(*a);
        *a = less;
        q++;
    }
    return q;
}

static num_t *copy(const num_t *a)
{
    num_t *r = num_new(a->length);
    memcpy(r->limb, a->limb, a->length * sizeof a->limb[0]);
    return r;
}

static num_t *from_u128(unsigned __int128 v)
{
    num_t *r = num_new(4);
    for (uint32_t i = 0; i < 4; i++)
        r->limb[i] = (uint32_t)(v >> (32 * i));
    return trimmed(r);
}

static unsigned __int128 root(unsigned __int128 n)
{
    unsigned __int128 r = 0;
    for (int bit = 63; bit >= 0; bit--) {
        unsigned __int128 with = r | (unsigned __int128)1 << bit;
        if (with * with <= n)
            r = with;
    }
    return r;
}

static int is_smooth(const num_t *q)
{
    static const uint32_t primes[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47};
    num_t *left = copy(q);
    for (size_t i = 0; i < sizeof primes / sizeof primes[0]; i++) {
        for (;;) {
            uint32_t rest;
            num_t *smaller = div_small(left, primes[i], &rest);
            if (rest != 0) {
                free(smaller);
                break;
            }
            free(left);
            left = smaller;
        }
    }
    int smooth = left->length == 1 && left->limb[0] < 100000;
    free(left);
    return smooth;
}

int main(int argc, char **argv)
{
    size_t steps = scaled(arg_scale(argc, argv), 420000);
    // The first 112 bits of pi: any number will do whose expansion is long.
    unsigned __int128 n = (unsigned __int128)UINT64_C(0x3243f6a8885a) << 64 | UINT64_C(0x308d313198a2e037);
    unsigned __int128 a0 = root(n);
    num_t *root_n = from_u128(a0), *modulus = from_u128(n);
    num_t *p = copy(root_n), *q = from_u128(n - a0 * a0), *q_before = from_u128(1);
    num_t *a = copy(root_n), *a_before = from_u128(1);
    uint64_t relations = 0, sum = 0;

    for (size_t i = 0; i < steps; i++) {
        // quotient and the next P, Q: b = (a0 + P) / Q, P' = a0 - rest, Q' = Q_before + b (P - P')
        num_t *rest = mul_add(root_n, 1, p);
        uint32_t b = reduce(&rest, q);
        num_t *p_next = sub(root_n, rest);
        num_t *q_next;
        if (compare(p, p_next) >= 0) {
            num_t *delta = sub(p, p_next);
            q_next = mul_add(delta, b, q_before);
            free(delta);
        } else {
            num_t *delta = sub(p_next, p), *zero = num_new(0);
            num_t *product = mul_add(delta, b, zero);
            q_next = sub(q_before, product);
            free(delta);
            free(zero);
            free(product);
        }
        // A' = b A + A_before mod N
        num_t *a_next = mul_add(a, b, a_before);
        reduce(&a_next, modulus);
        relations += (uint64_t)is_smooth(q_next);
        sum += b ^ (a_next->length ? a_next->limb[0] : 0);
        free(rest);
        free(p);
        free(q_before);
        free(a_before);
        p = p_next;
        q_before = q;
        q = q_next;
        a_before = a;
        a = a_next;
    }
    print_check(sum + relations);
    return 0;
}
