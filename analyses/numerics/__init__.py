"""Methods that several analyses share: checks, exact neighbours, ridge, HSIC."""
