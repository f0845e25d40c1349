//! fio ioengine over the `FlexBlk` initiator.
