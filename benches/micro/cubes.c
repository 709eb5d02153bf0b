// Lists of cubes that grow and shrink, as in espresso: recursive tautology
// checking of random logic covers. Each level copies the cover's cofactor into
// small blocks, grows its list by realloc, trims it, and frees all on return.
#include "bench.h"

enum { MOST_VARIABLES = 32, CUBES = 70 };

// One cube is a byte for each variable: 1 where it must be 0, 2 where it must be
// 1, 3 where it may be either.
typedef struct {
    int variables;
    size_t count, room;
    uint8_t **cube;
} cover_t;

static uint64_t leaves;

// The new cube: a copy of `cube`, for the caller to change.
static uint8_t *add(cover_t *cover, const uint8_t *cube)
{
    if (cover->count == cover->room) {
        cover->room = cover->room ? cover->room * 2 : 4;
        cover->cube = must(realloc(cover->cube, cover->room * sizeof *cover->cube));
    }
    uint8_t *copy = must(malloc((size_t)cover->variables));
    memcpy(copy, cube, (size_t)cover->variables);
    return cover->cube[cover->count++] = copy;
}

static void trim(cover_t *cover)
{
    if (cover->count > 0 && cover->count < cover->room) {
        cover->cube = must(realloc(cover->cube, cover->count * sizeof *cover->cube));
        cover->room = cover->count;
    }
}

static void drop(cover_t *cover)
{
    for (size_t i = 0; i < cover->count; i++)
        free(cover->cube[i]);
    free(cover->cube);
}

static cover_t cofactor(const cover_t *of, int variable, uint8_t side)
{
    cover_t half = {of->variables, 0, 0, NULL};
    for (size_t i = 0; i < of->count; i++)
        if ((of->cube[i][variable] & side) != 0)
            add(&half, of->cube[i])[variable] = 3;
    trim(&half);
    return half;
}

// The variable bound in most cubes, or -1 where a cube is bound nowhere.
static int most_bound(const cover_t *cover)
{
    size_t bound[MOST_VARIABLES] = {0};
    int best = 0;
    for (size_t i = 0; i < cover->count; i++) {
        int any = 0;
        for (int v = 0; v < cover->variables; v++) {
            int is = cover->cube[i][v] != 3;
            bound[v] += (size_t)is;
            any |= is;
        }
        if (!any)
            return -1;
    }
    for (int v = 1; v < cover->variables; v++)
        if (bound[v] > bound[best])
            best = v;
    return best;
}

static int is_tautology(const cover_t *cover)
{
    int variable = cover->count == 0 ? -2 : most_bound(cover);
    if (variable < 0) {
        leaves++;
        return variable == -1;
    }
    int all = 1;
    for (uint8_t side = 1; side <= 2; side++) {
        cover_t half = cofactor(cover, variable, side);
        all &= is_tautology(&half);
        drop(&half);
    }
    return all;
}

int main(int argc, char **argv)
{
    size_t covers = scaled(arg_scale(argc, argv), 45);
    rng_t rng = rng_seeded(2);
    uint64_t tautologies = 0;
    for (size_t i = 0; i < covers; i++) {
        cover_t cover = {(int)rng_between(&rng, 12, MOST_VARIABLES), 0, 0, NULL};
        for (int c = 0; c < CUBES; c++) {
            uint8_t cube[MOST_VARIABLES];
            for (int v = 0; v < cover.variables; v++)
                cube[v] = rng_below(&rng, 3) == 0 ? (uint8_t)rng_between(&rng, 1, 2) : 3;
            add(&cover, cube);
        }
        tautologies += (uint64_t)is_tautology(&cover);
        drop(&cover);
    }
    print_check(leaves * 2 + tautologies);
    return 0;
}
