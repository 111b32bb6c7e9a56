import { texts } from "../../text";

export const t = texts({
  en: {
    title: "People and machines", accounts: "Accounts", tokens: "Tokens for machines", add: "Add a person", addToken: "Make a token", name: "Name", display: "Name as others read it", role: "Role", last: "Last here", sessions: "Signed in at", state: "State",
    active: "active", disabled: "disabled", locked: "locked", until: "until", mustChange: "has to change the password", never: "never", places: (n: string) => `${n} browsers`, place: "1 browser", nowhere: "nowhere", you: "you",
    change: "Change", reset: "Set a new password", out: "Sign out everywhere", disable: "Disable", enable: "Enable", remove: "Remove", revoke: "Revoke", more: "More",
    password: "First password", passwordTold: "Tell it to the person; it has to be changed at the first sign-in.", newPassword: "New password", make: "Make", save: "Save", cancel: "Cancel", suggest: "Suggest one",
    added: (n: string) => `${n} may sign in now`, saved: "Saved", done: "Done", removeSure: (n: string) => `Remove the account of ${n}? What ${n} did stays in the journal.`, revokeSure: (n: string) => `Revoke the token ${n}? Whatever uses it is refused within seconds.`,
    disableSure: (n: string) => `Disable ${n}? All sessions end at once; the account can be enabled again.`, outSure: (n: string) => `Sign ${n} out everywhere?`,
    once: "Copy this token now", onceTold: "It is shown this once and cannot be read again. Only its fingerprint is kept.", copy: "Copy", copied: "Copied", copyHand: "Marked: press Ctrl+C", kept: "I have kept it", made: "made", noTokens: "No machine has a token.",
    only: "Accounts are kept by administrators.", signIn: "Sign in", setup: "No account exists yet", setupTold: "Until the first administrator is made, people at this machine act as `local`.", makeFirst: "Make the first account", absent: "This gateway keeps no accounts.", tokenTold: "For other programs: sent as `Authorization: Bearer …`. Machines administer nobody.", own: "Your own password is changed under your name in the header.",
  },
  zh: {
    title: "人员与令牌", accounts: "账号", tokens: "程序令牌", add: "添加人员", addToken: "创建令牌", name: "用户名", display: "显示姓名", role: "角色", last: "最近登录", sessions: "登录终端", state: "状态",
    active: "正常", disabled: "已停用", locked: "已锁定", until: "至", mustChange: "须修改密码", never: "从未", places: (n: string) => `${n} 个浏览器`, place: "1 个浏览器", nowhere: "未登录", you: "本人",
    change: "修改", reset: "设置新密码", out: "全部退出登录", disable: "停用账号", enable: "启用账号", remove: "删除", revoke: "吊销", more: "更多",
    password: "初始密码", passwordTold: "请告知本人；首次登录时必须修改。", newPassword: "新密码", make: "创建", save: "保存", cancel: "取消", suggest: "生成一个",
    added: (n: string) => `${n} 现在可以登录`, saved: "已保存", done: "已完成", removeSure: (n: string) => `删除 ${n} 的账号？其操作记录仍保留在日志中。`, revokeSure: (n: string) => `吊销令牌 ${n}？使用它的程序将在数秒内被拒绝。`,
    disableSure: (n: string) => `停用 ${n}？其全部登录立即失效，之后可重新启用。`, outSure: (n: string) => `让 ${n} 在所有终端退出登录？`,
    once: "请立即复制此令牌", onceTold: "仅显示这一次，之后无法再查看；网关只保存其指纹。", copy: "复制", copied: "已复制", copyHand: "已选中，请按 Ctrl+C", kept: "我已保存", made: "创建于", noTokens: "尚无程序令牌。",
    only: "账号由管理员管理。", signIn: "登录", setup: "尚无账号", setupTold: "在创建首位管理员之前，本机人员以 `local` 的名义操作。", makeFirst: "创建首个账号", absent: "本网关未启用账号。", tokenTold: "供其他程序使用：以 `Authorization: Bearer …` 发送。程序不能管理账号。", own: "修改自己的密码：点击页面右上角的姓名。",
  },
});
