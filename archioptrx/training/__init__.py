"""One network trained on one data set: settings, the loop, a trial with its messages, measured costs."""
