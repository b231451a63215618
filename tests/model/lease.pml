/*
 * service/src/control/lease.c and act.c: who acts for an app, of several services on one database.
 * Each may stand still at any step while time passes, and then goes on with what it knew; it may end
 * and start anew without what it knew; its call to the platform may be under way meanwhile, and its
 * answer may come late.
 *
 *     renew      a conditional update: the lease is this service's, or it is over
 *     order      a row, written where no newer epoch is
 *     call       begins before this service's own end of the lease, which lies before the
 *                database's, and is over CALL later at most, whatever becomes of the service
 *     take over  an order that was left open gets no call for CALL, as one may be under way
 *
 * What must hold: no two calls are under way at once; none begins, and no order is written, under
 * another epoch than the newest. A service looks at its clock and begins a call in one step: one that
 * is stopped between the two for longer than the lease is not modelled, and no database can tell.
 */
#ifndef SERVICES
#define SERVICES 2
#endif
#ifndef TIME
#define TIME 5 /* so far */
#endif
#define LEASE 2
#define MARGIN 1
#define CALL 2
#define NONE 255

byte now;
byte holder = NONE, epoch, expires;     /* the lease's row */
byte order_epoch;                       /* of the newest order; 0: there was none */
bool order_open;
byte under_way;                         /* calls that the platform is being told */
byte call_ends[SERVICES];               /* 0: none of this service */

/* Time passes, but not beyond the moment by which a call has ended: the platform is told by then. */
active proctype clock() {
    byte i;
    do
    :: now < TIME ->
        atomic {
            i = 0;
            do
            :: i < SERVICES && call_ends[i] != 0 && call_ends[i] <= now ->
                call_ends[i] = 0; under_way--; i++
            :: i < SERVICES && !(call_ends[i] != 0 && call_ends[i] <= now) -> i++
            :: i == SERVICES -> break
            od;
            now++
        }
    :: now == TIME -> break
    od
}

active [SERVICES] proctype service() {
    byte me, mine, until, hold, began;
    bool ordered, got;
    me = _pid - 1;
    do
    :: now == TIME -> break
    :: mine != 0 -> /* ends, and starts again without what it knew */
        mine = 0; until = 0; hold = 0; ordered = false
    :: true ->
        /* The moment is noted before the database is asked. */
        began = now;
        /* The update, the order and the commit: one step of the database. */
        atomic {
            got = false;
            if
            :: holder == me || expires <= now ->
                if
                :: holder != me ->
                    holder = me; epoch++;
#ifdef MUTANT_EPOCH /* the epoch does not count up */
                    if :: epoch > 1 -> epoch-- :: else fi;
#endif
                :: else
                fi;
                expires = now + LEASE; got = true;
                if
                :: mine != epoch ->
                    /* What is open was left by another, or by an earlier life of this one. */
                    mine = epoch;
                    ordered = order_open;
#ifndef MUTANT_HOLD /* does not wait for what may be under way */
                    if :: order_open -> hold = now + CALL :: else -> hold = 0 fi
#else
                    hold = 0
#endif
                :: else
                fi
            :: else
            fi
        };
        if
        :: got ->
#ifdef MUTANT_MARGIN /* counts from the answer, and up to the database's end and more */
            until = now + LEASE + MARGIN
#else
            until = began + LEASE - MARGIN
#endif
        :: else -> until = 0; mine = 0; ordered = false
        fi
    :: mine != 0 && !ordered -> /* a decision, in a transaction of its own */
        atomic {
            if
#ifdef MUTANT_ORDER /* an order that does not look at the epoch */
            :: true ->
#else
            :: epoch == mine && holder == me ->
#endif
                assert(mine >= epoch);
                order_epoch = mine; order_open = true; ordered = true
            :: else -> mine = 0; until = 0
            fi
        }
    :: mine != 0 && ordered && now >= hold && call_ends[me] == 0 ->
        /* Whoever was stopped before this step looks at its clock in it. */
        atomic {
            if
#ifdef MUTANT_LATE /* a call that does not look at the clock */
            :: true ->
#else
            :: now < until ->
#endif
                assert(mine == epoch);
                assert(under_way == 0);
                under_way++;
                call_ends[me] = now + CALL
            :: else -> skip
            fi
        }
    :: mine != 0 && ordered && call_ends[me] != 0 ->
        /* The platform answers, at any moment until then. */
        atomic {
            if
            :: call_ends[me] != 0 -> call_ends[me] = 0; under_way--
            :: else
            fi
        };
        /* And, later, the row is closed, where no newer epoch went on with it. */
        atomic {
            if
            :: order_epoch <= mine && epoch == mine -> order_open = false
            :: else
            fi
        };
        ordered = false
    od
}
