/** Page `wall`. */
export default function Wall() {
  return <section />;
}
