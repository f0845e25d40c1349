//! SMART / health information (page 02h).

use crate::octets::{Le16, Le32, Le128, U8, layout};

layout! {
    /// Health and use, since manufacture.
    SmartLog[512] {
        /// Bits: 0 = little spare, 1 = temperature, 2 = reliability, 3 = read only, 4 = backup.
        critical_warning set_critical_warning: u8 as U8, 0;
        /// Kelvin.
        temperature_k set_temperature_k: u16 as Le16, 1;
        /// Percent.
        available_spare set_available_spare: u8 as U8, 3;
        /// Percent below which the warning comes.
        spare_threshold set_spare_threshold: u8 as U8, 4;
        /// Percent of life; may exceed 100.
        percentage_used set_percentage_used: u8 as U8, 5;
        /// Thousands of 512 octets, rounded up.
        data_units_read set_data_units_read: u128 as Le128, 32;
        /// Thousands of 512 octets, rounded up.
        data_units_written set_data_units_written: u128 as Le128, 48;
        /// Read commands.
        host_reads set_host_reads: u128 as Le128, 64;
        /// Write commands.
        host_writes set_host_writes: u128 as Le128, 80;
        /// Minutes.
        busy_minutes set_busy_minutes: u128 as Le128, 96;
        /// Power cycles.
        power_cycles set_power_cycles: u128 as Le128, 112;
        /// Hours.
        power_on_hours set_power_on_hours: u128 as Le128, 128;
        /// Unsafe shutdowns.
        unsafe_shutdowns set_unsafe_shutdowns: u128 as Le128, 144;
        /// Media and data integrity errors.
        media_errors set_media_errors: u128 as Le128, 160;
        /// Error log entries ever.
        error_log_entries set_error_log_entries: u128 as Le128, 176;
        /// Minutes above the warning temperature.
        warning_minutes set_warning_minutes: u32 as Le32, 192;
        /// Minutes above the critical temperature.
        critical_minutes set_critical_minutes: u32 as Le32, 196;
    }
}
