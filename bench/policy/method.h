/* A method says each second how many dynos it wants. */
#ifndef POLICY_METHOD_H
#define POLICY_METHOD_H

typedef int (*method)(int now, int ordered, int up);

int method_steps(int now, int ordered, int up);
int method_judoscale(int now, int ordered, int up);
int method_hirefire(int now, int ordered, int up);
int method_heroku(int now, int ordered, int up);
int method_hpa(int now, int ordered, int up);
int method_keda_concurrency(int now, int ordered, int up);
int method_keda_rate(int now, int ordered, int up);
int method_knative(int now, int ordered, int up);
int method_aws(int now, int ordered, int up);
int method_static(int now, int ordered, int up);
int method_oracle(int now, int ordered, int up);
int method_instant(int now, int ordered, int up);

/* What some of them share: the HPA's steps from a load and what one dyno is to carry of it. */
int hpa_steps(int now, int ordered, double load, double target);

#endif
