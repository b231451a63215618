/*
 * core/src/buffer.c, step by step: an atomic block is one access to memory that other threads see,
 * with what the thread then does by itself. Where a push begins to look is only hinted at there;
 * here it is any slot, so what holds, holds for every hint. Of all words one, any, is watched: the
 * code never looks at what a word says, so what holds for one holds for each.
 *
 * All threads here see all stores in one order, as under C's memory_order_seq_cst; the weaker
 * orders in the code are not modelled. What they rely on is written where they stand, and
 * ThreadSanitizer watches the tests (make tsan).
 */
#define SLOTS 2
#define MOST  1 /* words that one call of ds_buffer_drain takes; a pass is several calls */

#define OTHER   1
#define WATCHED 2

byte slots[SLOTS];
byte drains;
byte full_at;

/* For the properties only; the code has none of these. */
bool chosen;  /* which word is watched */
bool inside;  /* it has been put in */
bool taken;   /* it has been taken out */
bool refused; /* it was refused, and counted */
bool at_work; /* a drain has emptied a slot and not yet counted itself */

#ifdef MUTANT_STORE /* a push stores without comparing */
#define IS_EMPTY(slot) true
#else
#define IS_EMPTY(slot) slot == 0
#endif

/* put(): the compare-and-swap. The look before it is left out: who sees a 0 there compares again,
 * who sees a word does as if the compare-and-swap had failed at that moment. */
inline put() {
    if
    :: IS_EMPTY(slots[i]) ->
        assert(word == OTHER || (!inside && !refused));
        inside = inside || word == WATCHED;
        slots[i] = word;
        word = 0
    :: else
    fi
}

/* A push is refused only if all slots are taken at this moment, or a drain is at work, or one has
 * ended since the push began to look. */
inline refuse() {
    assert(drains != noted || at_work || (slots[0] != 0 && slots[1] != 0));
    refused = refused || word == WATCHED;
    word = 0
}

#ifdef MUTANT_LOCK /* pushes one after the other */
bool held;
#define BEGIN_PUSH atomic { MAY_STOP; !held -> held = true }
#define END_PUSH   atomic { MAY_STOP; held = false }
#else
#define BEGIN_PUSH skip
#define END_PUSH   skip
#endif

/* ds_buffer_push() and push_further(). `i`: the slot looked at; `left`: how many more. */
inline push() {
    BEGIN_PUSH;
    atomic {
        MAY_STOP;
        if
        :: word = OTHER
        :: !chosen -> chosen = true; word = WATCHED
        fi;
        if
        :: i = 0
        :: i = 1
        fi;
        put()
    };
    if
    :: word == 0
    :: else ->
        atomic { MAY_STOP; noted = drains };
        atomic {
            MAY_STOP;
            if
            :: full_at == noted + 1 -> refuse()
            :: else -> left = SLOTS
            fi
        };
        do
        :: atomic { word != 0 && left > 0 -> MAY_STOP; i = (i + 1) % SLOTS; left--; put() }
        :: atomic { word != 0 && left == 0 ->
                MAY_STOP;
#ifdef MUTANT_LATE_NOTE /* the drains are counted after the look */
                noted = drains;
#endif
                full_at = noted + 1;
                refuse()
            }
        :: atomic { word == 0 -> left = 0; noted = 0; break }
        od
    fi;
    i = 0;
    END_PUSH
}

#define LOCALS_OF_PUSH byte word, i, left, noted

/* ds_buffer_drain(), again and again until it takes nothing: a pass. `moved`: it took something. */
inline drain() {
    moved = false;
    do
    :: atomic { found == 0 && position < SLOTS && n < MOST ->
            found = slots[position];
            if
            :: found == 0 -> position++
            :: else
            fi
        }
    :: atomic { found != 0 ->
            assert(slots[position] == found);
            assert(found == OTHER || (inside && !taken));
            taken = taken || found == WATCHED;
            slots[position] = 0;
            at_work = true;
            moved = true;
            found = 0;
            n++;
            position++
        }
    :: atomic { found == 0 && (position == SLOTS || n == MOST) && n > 0 ->
            drains++;
            at_work = false;
            n = 0
        }
    :: atomic { found == 0 && position == SLOTS && n == 0 -> position = 0; break }
    od
}

#define LOCALS_OF_DRAIN byte found, position, n; bool moved
