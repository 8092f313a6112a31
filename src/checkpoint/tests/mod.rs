mod damage;
mod full;
mod held;
mod memory_file;
mod model;
mod round_trip;
