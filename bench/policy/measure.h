/* What a run is judged by. A minute is slow when more than 5 % of the requests that arrived in it
 * waited more than 100 ms, or were lost. */
#ifndef POLICY_MEASURE_H
#define POLICY_MEASURE_H

void measure_begin(int seconds);
void measure_request(double arrival, double wait, double response);
void measure_lost(int second, int requests);
void measure_dyno_seconds(double seconds);
void measure_formation(int ordered);
void measure_print(int scalings); /* one CSV line: its columns are in README.md */

#endif
