/*
 * Functions of numbers that give the same to the bit on any machine. They are made of + - * / and
 * of whole numbers alone, which IEEE 754 defines exactly, as it does sqrt(); a C library's own
 * exp() and log() differ in the last bit from one version to the next. Whole numbers instead of
 * doubles would do that too, but what is learned spans 20 powers of ten (a load to the power of
 * 13). These files are compiled with -ffp-contract=off, since a fused multiply-add rounds once, not
 * twice.
 */
#ifndef NUMBER_H
#define NUMBER_H

#include <float.h>

_Static_assert(FLT_EVAL_METHOD == 0, "doubles are rounded at each step, or a replay may differ");

double number_exp(double x); /* within 1e-14 of it, in proportion; 0 below -700, as 700 above */
double number_log(double x); /* of 0 and below: -700 */
double number_power(double x, double y); /* x >= 0 */
double number_sqrt(double x);            /* of 0 and below: 0 */
double number_within(double x, double low, double high);
double number_larger(double one, double other);
double number_smaller(double one, double other);

#endif
