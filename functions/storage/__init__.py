"""The only home of boto3: the ports of `functions/domain/ports.py`, and no AWS dictionary beyond this folder."""
