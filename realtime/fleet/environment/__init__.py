"""What the instances know of single environments: who is subscribed, who was told of
which update, and a test update there and back."""
