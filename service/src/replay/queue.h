/*
 * How long requests wait in a dyno: a queue of the kind M/G/c with a mean that changes over time.
 * Pure.
 *
 * A queue has `slots` that work on requests first come, first served. Under a random router each
 * dyno is a queue of its own; under one that knows which dynos are free, all dynos together are
 * about one queue. Known of it are how long a request is worked on and how much that varies. What
 * varies over time is one number: how many requests are in the queue, waiting or at work. From it
 * follow how fast they are served and how long one that comes now waits.
 *
 * Sources: Erlang's C for the chance to wait; for what is not exponential the factor (1 + cv²) / 2
 * (Lee and Longton 1959); for the change over time the pointwise stationary fluid flow
 * approximation (Wang, Tipper and Banerjee 1996): a queue with so many requests serves as fast as
 * the stationary one that has as many on average.
 */
#ifndef QUEUE_H
#define QUEUE_H

enum { QUEUE_POINTS = 256, QUEUE_SLOTS = 40000 };

struct queue {
    int slots;
    double service_s;            /* mean */
    double smooth;               /* 2 / (1 + cv²) of the time that a request is worked on */
    double used[QUEUE_POINTS];   /* share of the slots at work, rising from 0 */
    double number[QUEUE_POINTS]; /* requests in the queue on average, of each */
    double chance[QUEUE_POINTS]; /* that a request has to wait, of each */
};

/* Chance that all of `slots` are taken where on average the share `used` (0 to 1) of them is. */
double queue_chance(int slots, double used);

void queue_begin(struct queue *queue, int slots, double service_s, double smooth);

/* Requests that are in the queue `seconds` later, where `rate` come each second. `service_s` may be
 * another than that the queue was begun with. served: requests a second that began, on average. */
double queue_after(const struct queue *queue, double number, double rate, double service_s,
                   double seconds, double *served);

/* How long a request waits that comes now: not at all with 1 - chance; else longer than
 * delay + t seconds with exp(-t * drop). */
struct queue_wait {
    double chance, delay, drop;
};
struct queue_wait queue_wait(const struct queue *queue, double number, double service_s);
/* The same where `used` of the slots is at work on average, for long. */
struct queue_wait queue_stationary(const struct queue *queue, double used, double service_s);
double queue_longer(const struct queue_wait *wait, double seconds);
double queue_mean_wait(const struct queue_wait *wait);

#endif
