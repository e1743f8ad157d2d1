"""What TensorFlow Lite Micro and Arm's compiler Vela make of a study's variants."""
