export const JA = Object.freeze({
  "Log in with {name}": "{name} でログイン",
  "Login with {name}": "{name} によるログイン",
  "Login provider": "ログインプロバイダー",
  "Your account is linked to {name}: you can log in with it.":
    "アカウントは {name} と連携されており、これでログインできます。",
  "Your account is not linked to {name}.": "アカウントは {name} と連携されていません。",
  "Link with {name}": "{name} と連携する",
  "Unlink": "連携を解除する",
  "Your account is linked now.": "アカウントを連携しました。",
  "Your account is no longer linked.": "アカウントの連携を解除しました。",
  "{name} has refused the login.": "{name} がログインを拒否しました。",
  "The login took too long, or began in another browser. Try again.":
    "ログインに時間がかかりすぎたか、別のブラウザで開始されました。もう一度お試しください。",
  "{name} does not answer, or answers wrongly. The log of banken says more.":
    "{name} が応答しないか、応答が正しくありません。詳しくは banken のログを参照してください。",
  "Many people log in just now. Try again in a minute.":
    "現在多くの人がログインしています。1 分後にもう一度お試しください。",
  "None of your groups at {name} may use this banken. Ask whoever runs it.":
    "{name} でのあなたのグループには、この banken を使う権限がありません。管理者に問い合わせてください。",
  "Your name at {name} cannot be the name of an account here. Ask whoever runs this banken.":
    "{name} でのあなたの名前は、ここではアカウント名に使えません。管理者に問い合わせてください。",
  "There is an account of your name already. Log in with its password, and link it in the menu of the account.":
    "同じ名前のアカウントがすでにあります。そのパスワードでログインし、アカウントのメニューから連携してください。",
  "Your groups at {name} do not fit your account here. An admin has to change one of them.":
    "{name} でのグループが、ここでのアカウントと合いません。管理者による変更が必要です。",
  "This login at {name}, or your account, is linked already.":
    "この {name} のログイン、またはアカウントは、すでに連携されています。",
  "Your session has ended. Log in again, and link the account then.":
    "セッションが終了しました。もう一度ログインしてから連携してください。",
  "banken cannot change accounts now. Try again later.":
    "現在アカウントを変更できません。しばらくしてからもう一度お試しください。",
  "This needs https. Ask whoever runs this banken.": "https が必要です。管理者に問い合わせてください。",
});
