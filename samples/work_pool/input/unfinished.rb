def half_a_method(
