"""From p_wrong to a flag: what is asked, what can be promised, and what the answer rests on."""
