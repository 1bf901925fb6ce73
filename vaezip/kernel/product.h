/* int8 matrix times int8 vectors, exactly, by whatever instructions the machine has. */
#ifndef VZ_PRODUCT_H
#define VZ_PRODUCT_H

#include <stddef.h>
#include <stdint.h>

/* Outputs are computed in tiles of 16; rows are padded with zeros to a multiple of 16 inputs. */
#define VZ_TILE 16
#define VZ_PADDED(n) (((n) + VZ_TILE - 1) / VZ_TILE * VZ_TILE)

/* Vectors that are multiplied at once, at most: each weight is then read once for several of them. */
#define VZ_RUN 32
#define VZ_MAX_INPUTS 4096 /* of a vector */

typedef struct {
    int outputs, inputs; /* padded */
    int sparse;          /* whether of its vectors' elements none is negative and most are 0 */
    int8_t *weight;      /* in the order that the path wants, (outputs, inputs) elements */
} vz_matrix;

/* One way to multiply. All give the same integers, as long as every sum of |weight| * 127 is below 2^24. */
typedef struct {
    const char *name;
    int (*runs)(void);
    /* Fills weight from a padded row-major matrix. */
    void (*pack)(vz_matrix *matrix, const int8_t *rows);
    /* product[p][o] = sum over i of weight[o][i] * a[p][i], for `count` vectors; all rows are padded. */
    void (*multiply)(int32_t *product, const vz_matrix *matrix, const int8_t *a, int count);
} vz_path;

/* The paths that this program was compiled with, the fastest first; the last one runs everywhere. */
extern const vz_path vz_paths[];
extern const int vz_path_count;

#endif
