"""Who a transaction is, who may do what, and how it is proven."""
