/** Page `case`. */
export default function Case() {
  return <section />;
}
