//! Linux: packet ring, netlink, sandbox, clocks, processes; the only unsafe code
