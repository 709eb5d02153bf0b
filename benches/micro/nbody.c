// Few blocks that live long, as in barnes: bodies are allocated once, an octree
// of cells is built and freed once a step, and arithmetic takes most of the time.
#include "bench.h"
#include <math.h>

enum { BODIES = 40000 };

typedef struct body {
    double at[3], speed[3], mass;
} body_t;

typedef struct cell {
    double centre[3], half, mass, weight[3];
    body_t *body; // a leaf with one body
    struct cell *child[8];
    int is_inner;
} cell_t;

static cell_t *new_cell(const double *centre, double half)
{
    cell_t *c = must(calloc(1, sizeof *c));
    memcpy(c->centre, centre, sizeof c->centre);
    c->half = half;
    return c;
}

static void insert(cell_t *c, body_t *b);

static void insert_below(cell_t *c, body_t *b)
{
    int octant = 0;
    double centre[3];
    for (int i = 0; i < 3; i++) {
        int upper = b->at[i] >= c->centre[i];
        octant |= upper << i;
        centre[i] = c->centre[i] + (upper ? c->half : -c->half) / 2;
    }
    if (c->child[octant] == NULL)
        c->child[octant] = new_cell(centre, c->half / 2);
    insert(c->child[octant], b);
}

static void insert(cell_t *c, body_t *b)
{
    int empty = c->mass == 0;
    c->mass += b->mass;
    for (int i = 0; i < 3; i++)
        c->weight[i] += b->mass * b->at[i];
    if (empty) {
        c->body = b;
        return;
    }
    if (!c->is_inner) {
        body_t *first = c->body;
        c->is_inner = 1;
        c->body = NULL;
        insert_below(c, first);
    }
    insert_below(c, b);
}

static void pull(const cell_t *c, const body_t *b, double *force)
{
    double d[3], square = 1e-4;
    for (int i = 0; i < 3; i++) {
        d[i] = c->weight[i] / c->mass - b->at[i];
        square += d[i] * d[i];
    }
    if (c->is_inner && 4 * c->half * c->half > 0.8 * square) {
        for (int i = 0; i < 8; i++)
            if (c->child[i] != NULL)
                pull(c->child[i], b, force);
        return;
    }
    double strength = c->mass / (square * sqrt(square));
    for (int i = 0; i < 3; i++)
        force[i] += strength * d[i];
}

static void free_tree(cell_t *c)
{
    for (int i = 0; i < 8; i++)
        if (c->child[i] != NULL)
            free_tree(c->child[i]);
    free(c);
}

int main(int argc, char **argv)
{
    size_t steps = scaled(arg_scale(argc, argv), 4);
    static body_t *body[BODIES];
    static const double origin[3] = {0, 0, 0};
    rng_t rng = rng_seeded(3);
    for (int i = 0; i < BODIES; i++) {
        body[i] = must(calloc(1, sizeof *body[i]));
        body[i]->mass = 1.0 / BODIES;
        for (int k = 0; k < 3; k++)
            body[i]->at[k] = (double)rng_below(&rng, 1 << 20) / (1 << 19) - 1;
    }
    for (size_t step = 0; step < steps; step++) {
        cell_t *tree = new_cell(origin, 4);
        for (int i = 0; i < BODIES; i++)
            insert(tree, body[i]);
        for (int i = 0; i < BODIES; i++) {
            double force[3] = {0, 0, 0};
            pull(tree, body[i], force);
            for (int k = 0; k < 3; k++)
                body[i]->speed[k] += 1e-3 * force[k];
        }
        for (int i = 0; i < BODIES; i++)
            for (int k = 0; k < 3; k++)
                body[i]->at[k] = fmax(-3.9, fmin(3.9, body[i]->at[k] + 1e-3 * body[i]->speed[k]));
        free_tree(tree);
    }
    double sum = 0;
    for (int i = 0; i < BODIES; i++)
        sum += body[i]->at[0] + body[i]->at[1] + body[i]->at[2];
    print_check((uint64_t)(int64_t)(sum * 1e6));
    return 0;
}
