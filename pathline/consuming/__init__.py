"""Reading a topic exactly once into PostgreSQL: partitions held under the fence, and work tried until it is done."""
