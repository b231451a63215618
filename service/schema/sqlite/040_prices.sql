-- What a dyno of a process costs, as a person entered it (store/prices.h).
CREATE TABLE price (
    app INTEGER NOT NULL,
    process TEXT NOT NULL,
    cents_a_month INTEGER NOT NULL,
    currency TEXT NOT NULL,
    PRIMARY KEY (app, process)
);
