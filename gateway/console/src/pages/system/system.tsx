/** Page `system`. */
export default function System() {
  return <section />;
}
