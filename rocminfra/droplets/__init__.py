"""The AMD Developer Cloud: client, life cycle and ledger come here."""
