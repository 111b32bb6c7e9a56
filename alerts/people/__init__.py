"""Notifiers: group chats, mail and text messages; each module tells people in its own channel's form."""
