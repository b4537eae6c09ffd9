/*
 * Five bodies under gravity in double precision: loads, stores, a square root
 * and a division per pair, long dependency chains.
 *
 * bench-class: fp
 * bench-args: 5000000
 * bench-quick: 500000
 */
#include <math.h>
#include "bench.h"

enum { BODIES = 5 };

typedef struct {
    double x, y, z, vx, vy, vz, mass;
} Body;

static Body bodies[BODIES] = {
    { 0, 0, 0, 0, 0, 0, 39.5 },
    { 4.8, -1.2, -0.1, 0.6, 2.8, -0.02, 0.038 },
    { 8.3, 4.1, -0.4, -1.0, 1.8, 0.008, 0.011 },
    { 12.9, -15.1, -0.2, 1.1, 0.87, -0.01, 0.0017 },
    { 15.4, -25.9, 0.18, 0.98, 0.59, -0.03, 0.002 },
};

static void advance(double dt)
{
    for (int i = 0; i < BODIES; i++) {
        Body *a = &bodies[i];

        for (int j = i + 1; j < BODIES; j++) {
            Body *b = &bodies[j];
            double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
            double d2 = dx * dx + dy * dy + dz * dz;
            double mag = dt / (d2 * sqrt(d2));

            a->vx -= dx * b->mass * mag;
            a->vy -= dy * b->mass * mag;
            a->vz -= dz * b->mass * mag;
            b->vx += dx * a->mass * mag;
            b->vy += dy * a->mass * mag;
            b->vz += dz * a->mass * mag;
        }
    }
    for (int i = 0; i < BODIES; i++) {
        bodies[i].x += dt * bodies[i].vx;
        bodies[i].y += dt * bodies[i].vy;
        bodies[i].z += dt * bodies[i].vz;
    }
}

int main(int argc, char **argv)
{
    uint64_t iterations = bench_arg(argc, argv, 1, 500000), sum = 0;

    for (uint64_t i = 0; i < iterations; i++) {
        advance(0.001);
    }
    for (int i = 0; i < BODIES; i++) {
        sum = bench_mix_double(sum, bodies[i].x);
        sum = bench_mix_double(sum, bodies[i].vy);
    }
    return bench_report("nbody", sum);
}
