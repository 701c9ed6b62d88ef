"""Pictures of the model that a detector takes for photographs."""
