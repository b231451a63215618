/*
 * The buffer with several producers and one consumer. Some producers stop for ever, each at any step
 * or at none. In the end each word was taken once, or refused; only one that stopped may have a
 * word that is neither, because it never got in.
 */
#ifndef PRODUCERS
#define PRODUCERS 3
#endif
#ifndef PUSHES
#define PUSHES 2
#endif
#ifndef STOPPING
#define STOPPING 1 /* producers that may stop: the first ones */
#endif

#define MAY_STOP if :: true :: _pid < STOPPING -> goto stopped fi
#include "buffer.pml"

byte working = PRODUCERS; /* producers that have neither ended nor stopped */

active [PRODUCERS] proctype producer() {
    byte pushed;
    LOCALS_OF_PUSH;
    do
    :: pushed < PUSHES -> push(); pushed++
    :: else -> break
    od;
stopped:
    working--
}

active proctype consumer() {
    bool last, before;
    LOCALS_OF_DRAIN;
    do
    :: atomic { !last -> last = working == 0; before = inside };
        drain();
        atomic {
            assert(!before || taken); /* it was inside when the pass began */
            before = false
        }
    :: else -> break
    od;
    assert(slots[0] == 0 && slots[1] == 0);
    assert(taken == inside && !(taken && refused))
}

/* However many have stopped, the others finish their pushes: nobody waits for anybody. */
ltl all_end { <> (working == 0) }
