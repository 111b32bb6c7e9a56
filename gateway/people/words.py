"""What the journal says of people, in both languages."""

from typing import Final

from gateway.core.model import Reason

ROLES_ZH: Final = {"viewer": "查看员", "operator": "操作员", "engineer": "工程师", "administrator": "管理员"}


def made(name: str, role: str) -> Reason:
    """Return the words for a new account."""
    return Reason(f"account {name!r} made: {role}", f"新建账号 {name!r}：{ROLES_ZH.get(role, role)}")


def first(name: str) -> Reason:
    """Return the words for the first administrator."""
    return Reason(f"first administrator {name!r} made by the one-time code", f"凭一次性代码建立首位管理员 {name!r}")


def role_changed(name: str, role: str) -> Reason:
    """Return the words for another role."""
    return Reason(f"account {name!r} is now {role}", f"账号 {name!r} 的角色改为{ROLES_ZH.get(role, role)}")


def renamed(name: str, shown: str) -> Reason:
    """Return the words for another display name."""
    return Reason(f"account {name!r} is shown as {shown!r}", f"账号 {name!r} 的显示名改为 {shown!r}")


def password_set(name: str, *, by_self: bool) -> Reason:
    """Return the words for a new password."""
    if by_self:
        return Reason(f"{name!r} changed the password; other sessions ended", f"{name!r} 修改了密码，其他会话已结束")
    return Reason(f"password of {name!r} set anew; all sessions ended", f"重设 {name!r} 的密码，全部会话已结束")


def enabled(name: str, *, now: bool) -> Reason:
    """Return the words for an account that may sign in again, or no more."""
    if now:
        return Reason(f"account {name!r} enabled", f"启用账号 {name!r}")
    return Reason(f"account {name!r} disabled; all sessions ended", f"停用账号 {name!r}，全部会话已结束")


def removed(name: str) -> Reason:
    """Return the words for an account that is gone."""
    return Reason(f"account {name!r} removed", f"删除账号 {name!r}")


def signed_in(address: str) -> Reason:
    """Return the words for a sign-in."""
    return Reason(f"signed in from {address}", f"登录，来自 {address}")


def signed_out(name: str, by: str, count: int) -> Reason:
    """Return the words for sessions that a person ended."""
    if by == name:
        return Reason("signed out", "退出登录")
    return Reason(f"{count} session{'' if count == 1 else 's'} of {name!r} ended", f"结束 {name!r} 的 {count} 个会话")


def locked(name: str, failures: int, wait_s: int, address: str) -> Reason:
    """Return the words for a name that is locked."""
    return Reason(
        f"account {name!r} locked for {wait_s} s after {failures} wrong passwords, the last from {address}",
        f"账号 {name!r} 连续 {failures} 次密码错误，锁定 {wait_s} 秒，最近一次来自 {address}",
    )


def wrong_password(name: str, address: str) -> Reason:
    """Return the words for a sign-in that failed."""
    return Reason(f"wrong name or password for {name} from {address}", f"账号或密码错误：{name}，来自 {address}")


def still_locked(name: str, address: str) -> Reason:
    """Return the words for a sign-in while the name is locked."""
    return Reason(f"sign-in for {name} from {address} while locked", f"锁定期间尝试登录：{name}，来自 {address}")


def wrong_code(address: str) -> Reason:
    """Return the words for a wrong one-time code."""
    return Reason(f"wrong one-time code from {address}", f"一次性代码错误，来自 {address}")


def wrong_token(address: str) -> Reason:
    """Return the words for a token that is not known."""
    return Reason(f"unknown or revoked token from {address}", f"未知或已吊销的令牌，来自 {address}")


def not_allowed(order: str, role: str, needed: str) -> Reason:
    """Return the words for an order that the role does not allow."""
    return Reason(
        f"{order} refused: {role} is not {needed}",
        f"拒绝 {order}：需要{ROLES_ZH.get(needed, needed)}，当前为{ROLES_ZH.get(role, role)}",
    )


def token_made(name: str, role: str) -> Reason:
    """Return the words for a new token."""
    return Reason(f"token {name!r} made: {role}", f"新建令牌 {name!r}：{ROLES_ZH.get(role, role)}")


def token_revoked(name: str) -> Reason:
    """Return the words for a revoked token."""
    return Reason(f"token {name!r} revoked", f"吊销令牌 {name!r}")
