/*
 * service/src/control/lease.c and act.c: who acts for an app, of several services on one database.
 * Each may stand still at any step while time passes, and then goes on with what it knew; it may be
 * killed and start anew without what it knew, or end as it is told to; its call to the platform may
 * be under way meanwhile, and its answer may come late.
 *
 *     renew      a conditional update: the lease is this service's, or it is over
 *     order      a row, written where no newer epoch is
 *     call       begins before this service's own end of the lease, which lies before the
 *                database's, and is over CALL later at most, whatever becomes of the service
 *     take over  an order that was left open gets no call for CALL, as one may be under way; before
 *                that the platform is read, and that this service goes on with it is written. (Where
 *                the reading finds it done the row is closed: that call has had its effect.)
 *     end        no call of this service is under way: the lease is given back, and who takes it
 *                need not wait; but where this service waits itself for what another left open, it
 *                is only over. After a kill the next life ends it, or it ends by itself
 *     answer     closes the row, unless a newer epoch has written to it
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
#ifndef LIVES
#define LIVES 1 /* so many more begin, of all services */
#endif
#define LEASE 2
#define MARGIN 1
#define CALL 2
#define MORE 1 /* so much longer than a call may take is waited */
#define NONE 255

byte now;
byte holder = NONE, epoch, expires;     /* the lease's row */
bool given_back;                        /* by who had it last: nothing of it is under way */
byte order_epoch;                       /* of the newest order; 0: there was none */
bool order_open;
byte under_way;                         /* calls that the platform is being told */
byte call_ends[SERVICES];               /* 0: none of this service */
byte ended;                             /* services that were, and began again */

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
    :: mine != 0 && ended < LIVES -> /* is killed, and starts again without what it knew, as another */
        atomic {
            ended++; mine = 0; until = 0; hold = 0; ordered = false;
            if
            :: holder == me ->
                holder = NONE;
                if :: expires = 0 :: skip fi
            :: else
            fi
        }
    :: mine != 0 && call_ends[me] == 0 && ended < LIVES -> /* ends as it is told to, and starts again */
        atomic {
            ended++;
            if
            :: holder == me ->
                holder = NONE; expires = 0;
#ifdef MUTANT_BACK /* gives back what it waits for itself */
                given_back = true
#else
                given_back = hold <= now
#endif
            :: else
            fi;
            mine = 0; until = 0; hold = 0; ordered = false
        }
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
                    if :: order_open && !given_back -> hold = now + CALL + MORE :: else -> hold = 0 fi;
#else
                    hold = 0;
#endif
                :: else
                fi;
                given_back = false
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
    :: mine != 0 && ordered && order_epoch < mine ->
        /* Whatever the answer to the other's call wrote meanwhile. */
        atomic { order_epoch = mine; order_open = true }
#ifdef MUTANT_ROW /* goes on with what another left open, and the row does not say so */
    :: mine != 0 && ordered && now >= hold && call_ends[me] == 0 ->
#else
    :: mine != 0 && ordered && now >= hold && call_ends[me] == 0 && order_epoch == mine ->
#endif
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
            :: order_epoch <= mine -> order_open = false
            :: else
            fi
        };
        ordered = false
    od
}
