/*
 * HireFire by job queue latency, and by the size of the queue.
 *
 * help.hirefire.io/article/62: "Job Queue Latency is the amount of time since the oldest job in the
 * queue was ready to be processed". article/7: a check-up each 60 s, or down to 15 s (`every`). The
 * latency above the maximum (`up`) adds workers (`by`), below the minimum (`down`) removes one; the
 * first job starts one ("upscale on initial job"). The documents advise a longer timeout for
 * removing than for adding and name no default: 5 minutes is our assumption, `downwait`.
 *
 * By size (HireFire's job queue strategy): one worker for each `ratio` jobs, those that are worked
 * on counted in. manager-options/decrementable-option: when that is disabled, as at first, HireFire
 * never scales down "unless all the jobs in the queue have been processed"; `decrement=1` enables
 * it.
 */
#include <math.h>
#include <stdbool.h>

#include "../../options.h"
#include "../method.h"

int method_hirefire_latency(int now, int ordered, int up) {
    (void)up;
    if (now % option_int("every", 60)) return ordered;
    struct reading reading = system_read(now);
    int wait = option_int("downwait", 300);
    bool calm = now - system_last_down >= wait && now - system_last_up >= wait;
    if (ordered == 0 && reading.waiting > 0) return 1;
    if (reading.oldest_s > option_number("up", 10)) return ordered + option_int("by", 1);
    bool last = ordered == 1 && reading.working > 0;
    return reading.oldest_s < option_number("down", 1) && calm && !last ? ordered - 1 : ordered;
}

int method_hirefire_queue(int now, int ordered, int up) {
    (void)up;
    if (now % option_int("every", 60)) return ordered;
    struct reading reading = system_read(now);
    int jobs = reading.waiting + reading.working;
    int wanted = (int)ceil(jobs / option_number("ratio", 10));
    if (wanted < ordered && jobs > 0 && !option_int("decrement", 0)) return ordered;
    return wanted;
}
