"""What is proven about the templates, without deploying them."""
