"""The success-rule language: parse, bind, evaluate (passed, failed, cannot tell), say as a sentence."""
