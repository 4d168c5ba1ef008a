"""GOOSE (IEC 61850-8-1): frames to messages, messages to subscriptions that trust nobody."""
