export function SignIn() { return <section />; }
